"""Finds substrates whose results apply to another substrate, because replays on it are bit-identical."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import ReplayFinding, Verification, VerifiedPair
from bl_neuro.experiment.measures import REPLAY, VERIFICATION, Measures

StandIns = dict[tuple[str, str], list[str]]
"""By substrate and output: the substrates with bit-identical results."""


def replay_findings(cells: Sequence[Cell], measures: Measures) -> list[ReplayFinding]:
    """The result of each finished replay."""
    return [
        ReplayFinding(
            substrate=cell.facts["substrate"],
            of=cell.facts["of"],
            seed=cell.facts["seed"],
            attack=cell.facts["attack"],
            reveals=cell.facts["reveals"],
            restart=cell.facts["restart"],
            queries=measured.queries,
            identical=measured.identical,
            differs=measured.differs,
        )
        for cell, measured in REPLAY.finished(cells, measures)
    ]


def verifications(cells: Sequence[Cell], measures: Measures) -> list[Verification]:
    """The finished layer-by-layer comparisons."""
    return [
        Verification(
            target=cell.facts["target"],
            seed=cell.facts["seed"],
            substrates=measured.substrates,
            pairs=[VerifiedPair(**pair.model_dump(exclude={"inputs"})) for pair in measured.pairs],
        )
        for cell, measured in VERIFICATION.finished(cells, measures)
    ]


def identical_replays(cells: Sequence[Cell], measures: Measures) -> list[Cell]:
    """One replay for each pair of substrates whose replays are all finished and identical."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.kind == "replay":
            groups.setdefault((cell.facts["substrate"], cell.facts["of"]), []).append(cell)
    same = {cell.address for cell, measured in REPLAY.finished(cells, measures) if measured.identical}
    return [group[0] for group in groups.values() if all(cell.address in same for cell in group)]


def stand_ins(replays: Sequence[Cell]) -> StandIns:
    """By attack and output, the substrates whose results apply to the substrates of `identical_replays`."""
    table: StandIns = {}
    for cell in replays:
        for reveals in cell.what:
            table.setdefault((cell.facts["of"], reveals), []).append(cell.facts["substrate"])
    return table
