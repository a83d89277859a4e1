"""Does the substrate change leakage? A verdict on each pair of substrates, from an audit's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.findings.records import Record
from bl_neuro.leakage import PairVerdict, pair_verdicts

MEASURES = ("hit", "confidence")
Inversion = tuple[int, int, int]
"""Target seed, class, restart: what is compared with the same on another substrate."""
Table = dict[str, dict[Inversion, tuple[float, float]]]
"""Hit and confidence of each inversion on each substrate."""


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
        found: dict[str, Any] = finite(asdict(self))
        return {**found, "sentence": self.verdict.sentence}


@dataclass(frozen=True)
class Alike:
    """Substrates on which every inversion of an attack scored the same, to the last bit."""

    attack: str
    reveals: str
    evaluator: str
    substrates: tuple[str, ...]


@dataclass(frozen=True)
class Standin:
    """`substrate` answers as `of` does, to the last bit, wherever it shows what is revealed."""

    substrate: str
    of: str
    shown: tuple[str, ...]


def substrate_verdicts(
    records: Sequence[Record], margin: float, standins: Sequence[Standin] = ()
) -> tuple[list[Comparison], list[Alike]]:
    """Every pair of substrates of trained targets, judged together for each evaluator and measure (Holm).

    Of each pair only inversions that are done on both count. Substrates alike are one substrate in these pairs:
    comparing them again would ask one question several times, and Holm's correction would make all others pay for it.
    standins: substrates that need no records, since they are proved to be like another.
    """
    comparisons: list[Comparison] = []
    for (evaluator, measure), pairs in families(records).items():
        verdicts = pair_verdicts({str(number): pair.values for number, pair in enumerate(pairs)}, margin)
        comparisons += [
            Comparison(
                pair.attack, pair.reveals, evaluator, measure,
                _with_standins(pair.first, pair.reveals, standins), _with_standins(pair.second, pair.reveals, standins),
                verdicts[str(number)],
            )
            for number, pair in enumerate(pairs)
        ]  # fmt: skip
    groups = [
        (key, evaluator, _with_standins(group, key[1], standins))
        for evaluator, tables in _by_evaluator(records).items()
        for key, table in tables.items()
        for group in _alike(table)
    ]
    return comparisons, [Alike(*key, evaluator, group) for key, evaluator, group in groups if len(group) > 1]


def _with_standins(group: tuple[str, ...], reveals: str, standins: Sequence[Standin]) -> tuple[str, ...]:
    return (*group, *(each.substrate for each in standins if each.of in group and reveals in each.shown))


@dataclass(frozen=True)
class Pair:
    """The values of one attack's inversions on two groups of substrates: (seeds of (n,)) twice, paired."""

    attack: str
    reveals: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    values: tuple[list[FloatArray], list[FloatArray]]


def families(records: Sequence[Record]) -> dict[tuple[str, str], list[Pair]]:
    """By evaluator and measure, the pairs that are judged together; those of which nothing is done yet are left out."""
    found: dict[tuple[str, str], list[Pair]] = {}
    for evaluator, tables in _by_evaluator(records).items():
        named = [(key, one, other) for key, table in tables.items() for one, other in combinations(_alike(table), 2)]
        for at, measure in enumerate(MEASURES):
            pairs = [
                Pair(*key, one, other, paired(tables[key][one[0]], tables[key][other[0]], at))
                for key, one, other in named
            ]
            done = [pair for pair in pairs if pair.values[0]]
            if done:
                found[evaluator, measure] = done
    return found


def _by_evaluator(records: Sequence[Record]) -> dict[str, dict[tuple[str, str], Table]]:
    """Of trained and given targets as they are deployed: on no rung before that, behind no mitigation."""
    own = [each for each in records if each.target in ("trained", "given")]
    own = [each for each in own if each.rung is None and each.mitigation is None]
    evaluators = dict.fromkeys(each.evaluator for each in own)
    return {name: _tables([each for each in own if each.evaluator == name]) for name in evaluators}


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


def paired(
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


def finite(value: Any) -> Any:
    """`value` with null for what is not finite, as JSON has no infinity."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
