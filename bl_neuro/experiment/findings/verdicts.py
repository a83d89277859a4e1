"""Tests whether the substrate changes leakage: a verdict on each pair of substrates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.findings.conversion import verdict_of
from bl_neuro.experiment.findings.estimates import MEASURES, IdenticalSubstrates, Measure, SubstrateComparison
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.replays import StandIns
from bl_neuro.leakage import pair_verdicts

Inversion = tuple[int, int, int]
"""Independent unit, class, restart: the key for pairing with another substrate."""
Scores = dict[Measure, float]
"""Scores of one inversion, by measure."""
Table = dict[str, dict[Inversion, Scores]]
"""The scores of each inversion on each substrate."""
View = tuple[str, str]
"""Attack and output."""
Arithmetics = Mapping[str, str | None]
"""The arithmetic of each substrate; an endpoint, whose arithmetic is unknown, has a name of its own."""
PairedArrays = tuple[list[FloatArray], list[FloatArray]]
"""Two lists of arrays, one per independent unit, with values of the same inversions in the same order."""


def substrate_verdicts(
    records: Sequence[Record],
    margins: Mapping[str, float | None],
    stand_ins: StandIns | None = None,
    unit: str = "seed",
    arithmetic: Arithmetics | None = None,
) -> tuple[list[SubstrateComparison], list[IdenticalSubstrates]]:
    """Tests every pair of substrates of trained targets, together for each evaluator and measure (Holm).

    Only inversions that are finished on both substrates of a pair count. Substrates of one arithmetic with equal scores
    count as one substrate, since testing the same question several times would weaken all other tests under Holm's
    correction. Equal scores in different arithmetics are tested, since further inversions may differ. margins: by
    evaluator; None where equivalence is not asked. stand_ins: substrates that need no records of their own, since
    replays on them are identical. unit: the independent unit, in words. arithmetic: of each substrate; the same for all
    if not given.
    """
    known, kinds = stand_ins or {}, arithmetic or {}
    comparisons: list[SubstrateComparison] = []
    for (evaluator, measure), pairs in families(records, kinds).items():
        same = [str(number) for number, pair in enumerate(pairs) if one_arithmetic(pair, kinds)]
        verdicts = pair_verdicts(
            {str(number): pair.values for number, pair in enumerate(pairs)},
            margins.get(evaluator),
            same_computation=same,
        )
        comparisons += [
            SubstrateComparison(
                attack=pair.attack,
                reveals=pair.reveals,
                evaluator=evaluator,
                measure=measure,
                first=_with_stand_ins(pair.first, pair.reveals, known),
                second=_with_stand_ins(pair.second, pair.reveals, known),
                verdict=verdict_of(verdicts[str(number)]),
                sentence=verdicts[str(number)].described(unit),
            )
            for number, pair in enumerate(pairs)
        ]
    return comparisons, _identical(records, known, kinds)


def one_arithmetic(pair: SubstratePair, arithmetic: Arithmetics) -> bool:
    """Whether both sides of a pair compute in one known arithmetic, so that equal hits are no coincidence."""
    first, second = arithmetic.get(pair.first[0]), arithmetic.get(pair.second[0])
    return first is not None and first == second


def _identical(records: Sequence[Record], stand_ins: StandIns, arithmetic: Arithmetics) -> list[IdenticalSubstrates]:
    return [
        IdenticalSubstrates(attack=attack, reveals=reveals, evaluator=evaluator, substrates=substrates)
        for evaluator, tables in _by_evaluator(records).items()
        for (attack, reveals), table in tables.items()
        for group in _same_scores(table, arithmetic)
        if len(substrates := _with_stand_ins(group, reveals, stand_ins)) > 1
    ]


def _with_stand_ins(group: Sequence[str], reveals: str, stand_ins: StandIns) -> list[str]:
    return [*group, *(name for substrate in group for name in stand_ins.get((substrate, reveals), []))]


@dataclass(frozen=True)
class SubstratePair:
    """The values of one attack's inversions on two groups of substrates, paired: two lists of arrays (n,) per unit."""

    attack: str
    reveals: str
    first: list[str]
    second: list[str]
    values: PairedArrays


def families(
    records: Sequence[Record], arithmetic: Arithmetics | None = None
) -> dict[tuple[str, Measure], list[SubstratePair]]:
    """By evaluator and measure, the pairs that are tested together. Pairs without finished cells are left out."""
    kinds = arithmetic or {}
    judged_together: dict[tuple[str, Measure], list[SubstratePair]] = {}
    for evaluator, tables in _by_evaluator(records).items():
        named = [
            (view, one, other)
            for view, table in tables.items()
            for one, other in combinations(_same_scores(table, kinds), 2)
        ]
        for measure in MEASURES:
            pairs = [
                SubstratePair(*view, one, other, paired(tables[view][one[0]], tables[view][other[0]], measure))
                for view, one, other in named
            ]
            finished = [pair for pair in pairs if pair.values[0]]
            if finished:
                judged_together[evaluator, measure] = finished
    return judged_together


def _by_evaluator(records: Sequence[Record]) -> dict[str, dict[View, Table]]:
    """The records of fully deployed trained and given targets, by evaluator."""
    own = [record for record in records if record.target in OWN and record.plain]
    evaluators = dict.fromkeys(record.evaluator for record in own)
    return {name: _tables([record for record in own if record.evaluator == name]) for name in evaluators}


def _tables(records: Sequence[Record]) -> dict[View, Table]:
    """By attack and output, the scores of each inversion on each substrate."""
    tables: dict[View, Table] = {}
    for record in records:
        table = tables.setdefault((record.attack, record.reveals), {})
        table.setdefault(record.substrate, {})[inversion_of(record)] = scores_of(record)
    return tables


def inversion_of(record: Record) -> Inversion:
    """The key of the inversion of a record."""
    return record.unit, record.label, record.restart


def scores_of(record: Record) -> Scores:
    """The measures of a record."""
    return {"hit": float(record.hit), "confidence": record.confidence}


def _same_scores(table: Table, arithmetic: Arithmetics) -> list[list[str]]:
    """Groups of substrates of one arithmetic on which every inversion has equal scores."""
    groups: list[list[str]] = []
    for substrate, values in table.items():
        kind = arithmetic.get(substrate)
        alike = (group for group in groups if arithmetic.get(group[0]) == kind and table[group[0]] == values)
        group = next(alike, None)
        if group is None:
            groups.append([substrate])
        else:
            group.append(substrate)
    return groups


def paired(one: Mapping[Inversion, Scores], other: Mapping[Inversion, Scores], measure: Measure) -> PairedArrays:
    """Values of the inversions that both have, one array per independent unit."""
    shared = sorted(one.keys() & other.keys())
    units = list(dict.fromkeys(unit for unit, _, _ in shared))
    first, second = (
        [np.array([values[inversion][measure] for inversion in shared if inversion[0] == unit]) for unit in units]
        for values in (one, other)
    )
    return first, second
