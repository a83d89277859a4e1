"""Does the substrate change leakage? A verdict on each pair of substrates, from an audit's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.audit.records import Record
from bl_neuro.leakage import PairVerdict, pair_verdicts

MEASURES = ("hit", "confidence")
Inversion = tuple[int, int, int]
"""Target seed, class, restart: what is compared with the same on another substrate."""


@dataclass(frozen=True)
class Comparison:
    """One attack on two substrates, under one evaluator and measure, on the same target seeds, classes and restarts.

    first, second: substrates; several where every inversion scored the same on them, so that they are compared once.
    The verdict's difference is first less second.
    """

    attack: str
    reveals: str
    evaluator: str
    measure: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    verdict: PairVerdict

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; what is not finite (an interval of one seed) is null."""
        found: dict[str, Any] = _finite(asdict(self))
        return {**found, "sentence": self.verdict.sentence}


@dataclass(frozen=True)
class Alike:
    """Substrates on which every inversion of an attack scored the same, to the last bit."""

    attack: str
    reveals: str
    evaluator: str
    substrates: tuple[str, ...]


def substrate_verdicts(records: Sequence[Record], margin: float) -> tuple[list[Comparison], list[Alike]]:
    """Every pair of substrates of trained targets, judged together for each evaluator and measure (Holm).

    Of each pair only inversions that are done on both count. Substrates alike are one substrate in these pairs:
    comparing them again would ask one question several times, and Holm's correction would make all others pay for it.
    """
    comparisons: list[Comparison] = []
    same: list[Alike] = []
    own = [record for record in records if record.target in ("trained", "given") and record.rung is None]
    for evaluator in dict.fromkeys(record.evaluator for record in own):
        tables = _tables([record for record in own if record.evaluator == evaluator])
        groups = {key: _alike(table) for key, table in tables.items()}
        same += [Alike(*key, evaluator, group) for key, found in groups.items() for group in found if len(group) > 1]
        named = [(key, one, other) for key, found in groups.items() for one, other in combinations(found, 2)]
        for at, measure in enumerate(MEASURES):
            pairs = {
                str(number): _paired(tables[key][one[0]], tables[key][other[0]], at)
                for number, (key, one, other) in enumerate(named)
            }
            pairs = {name: pair for name, pair in pairs.items() if pair[0]}  # of some pairs nothing is done yet
            verdicts = pair_verdicts(pairs, margin) if pairs else {}
            comparisons += [
                Comparison(*key, evaluator, measure, one, other, verdicts[str(number)])
                for number, (key, one, other) in enumerate(named)
                if str(number) in verdicts
            ]
    return comparisons, same


Table = dict[str, dict[Inversion, tuple[float, float]]]


def _tables(records: Sequence[Record]) -> dict[tuple[str, str], Table]:
    """By attack and what is revealed: hit and confidence of each inversion on each substrate."""
    tables: dict[tuple[str, str], Table] = {}
    for each in records:
        inversion = (each.seed, each.label, each.restart)
        table = tables.setdefault((each.attack, each.reveals), {})
        table.setdefault(each.substrate, {})[inversion] = (float(each.hit), each.confidence)
    return tables


def _alike(table: Table) -> list[tuple[str, ...]]:
    """Substrates of a table in groups on which every inversion scored the same."""
    groups: list[list[str]] = []
    for substrate, values in table.items():
        group = next((group for group in groups if table[group[0]] == values), None)
        if group is None:
            groups.append([substrate])
        else:
            group.append(substrate)
    return [tuple(group) for group in groups]


def _paired(
    one: dict[Inversion, tuple[float, float]], other: dict[Inversion, tuple[float, float]], measure: int
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Values of the inversions that both have, an array a target seed."""
    shared = sorted(one.keys() & other.keys())
    seeds = list(dict.fromkeys(inversion[0] for inversion in shared))
    first, second = (
        [np.array([values[each][measure] for each in shared if each[0] == seed]) for seed in seeds]
        for values in (one, other)
    )
    return first, second


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
