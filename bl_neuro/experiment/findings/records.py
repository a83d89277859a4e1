"""The measurements of an audit: one record per inversion and evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.measures import JUDGEMENT
from bl_neuro.experiment.store import Store


@dataclass(frozen=True)
class Record:
    """One inversion under one evaluator.

    target: "trained", "given", or the kind of control. seed: of the target. label: the inverted class. hit: whether the
    evaluator ranks it first. confidence: the evaluator's probability of it, 0..1. rung: rung of the ladder from float
    to deployed, or None. mitigation: the mitigation of the deployment, or None.
    rejected: whether the evaluator answers "none of these"; None where this was not measured.
    """

    target: str
    seed: int
    substrate: str
    attack: str
    reveals: str
    restart: int
    evaluator: str
    label: int
    hit: int
    confidence: float
    rung: str | None = None
    mitigation: str | None = None
    rejected: int | None = None

    @property
    def unit(self) -> int:
        """The number of its independent unit; see `unit_of`."""
        return unit_of(self.target, self.seed, self.restart)

    @property
    def plain(self) -> bool:
        """Whether its target is the fully deployed network, without mitigation."""
        return self.rung is None and self.mitigation is None


def unit_of(target: str, seed: int, restart: int) -> int:
    """The independent unit: the target seed or, for one given model, the restart of the attack."""
    return restart if target == "given" else seed


def records(cells: Sequence[Cell], store: Store) -> list[Record]:
    """One record per inversion and evaluator whose cell is done, in the order of the plan."""
    judged = []
    for cell in cells:
        result = store.read(cell.address) if cell.kind == "judgement" else None
        if result is not None:
            measured = JUDGEMENT.typed(result.measures)
            rejected: Sequence[int | None] = measured.rejected or [None] * len(measured.hits)
            values = zip(measured.classes, measured.hits, measured.confidence, rejected)
            judged += [
                Record(**cell.facts, label=label, hit=hit, confidence=sure, rejected=none)
                for label, hit, sure, none in values
            ]
    return judged


def hits_by_unit(records: Sequence[Record]) -> list[FloatArray]:
    """Hits of the inversions of each independent unit, in order, one array (n,) per unit."""
    hits: dict[int, list[float]] = {}
    for record in records:
        hits.setdefault(record.unit, []).append(float(record.hit))
    return [np.array(hits[unit]) for unit in sorted(hits)]
