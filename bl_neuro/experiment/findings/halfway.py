"""Compares substrates at the query budget at which an attack is halfway, where attack accuracy is not saturated.

At the end of an attack nearly every inversion may be a hit on every substrate, and a difference cannot show. The
halfway budget of an attack, output and evaluator is the first query count at which its attack accuracy reaches the
middle between its floor and its final value. The floor is the highest of guessing, null controls and zero-query
baselines; without the latter where they reach the final value. The rule is fixed before the audit, and uses the mean
over all substrates, each arithmetic counted once, so that the choice of the budget favours no substrate. Attack
accuracy on the way is that of the spike rates in the trace of the attack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.conversion import mean_of, verdict_of
from bl_neuro.experiment.findings.curves import Course, common_grid, hits_of
from bl_neuro.experiment.findings.estimates import MEASURES, ControlFinding, Measure
from bl_neuro.experiment.findings.halfway_models import HalfwayComparison, HalfwayFinding, HalfwayLevel
from bl_neuro.experiment.findings.models import OWN, AuditRow
from bl_neuro.experiment.findings.records import Record, unit_of
from bl_neuro.experiment.findings.verdicts import Arithmetics, PairedArrays, families, one_arithmetic
from bl_neuro.experiment.measures import ATTACK, JUDGEMENT, Measures
from bl_neuro.leakage import held_at, pair_verdicts, seed_bootstrap

Runs = dict[tuple[int, int], Course]
"""The courses of an attack on one substrate, by independent unit and restart."""
JudgedView = tuple[str, str, str]
"""Attack, output and evaluator."""


class Floor(NamedTuple):
    """The attack accuracy that an attack has to exceed, and what reaches it."""

    value: float
    reached_by: str


class Halfway(NamedTuple):
    """The halfway budget per class, whether the course starts there or beyond, the final attack accuracy, the floor."""

    queries: float | None
    at_start: bool
    final: float
    floor: Floor


def halfway_findings(
    cells: Sequence[Cell],
    measures: Measures,
    records: Sequence[Record],
    rows: Sequence[AuditRow],
    controls: Sequence[ControlFinding],
    chance: float,
    margins: Mapping[str, float | None],
    unit: str,
    arithmetic: Arithmetics,
) -> list[HalfwayFinding]:
    """The halfway budget of each attack with a course, and the comparison of substrates at it.

    The pairs and the families of tests are those of the final inversions (see `substrate_verdicts`). rows: with their
    advantages. chance: attack accuracy of guessing. margins: by evaluator. unit: the independent unit, in words.
    """
    tables = _courses(cells, measures)
    halfway = {
        view: halfway_of(table, _floors(view, rows, controls, chance), arithmetic) for view, table in tables.items()
    }
    compared = _compared(tables, halfway, records, margins, unit, arithmetic)
    return [_finding(view, table, halfway[view], compared.get(view, [])) for view, table in tables.items()]


def _courses(cells: Sequence[Cell], measures: Measures) -> dict[JudgedView, dict[str, Runs]]:
    """By attack, output and evaluator, the courses on each substrate; attacks on ANN twins have none to compare."""
    tables: dict[JudgedView, dict[str, Runs]] = {}
    for cell, judged in JUDGEMENT.finished(cells, measures):
        attacked = ATTACK.of(cell.needs[0], measures)
        facts = cell.facts
        if attacked is None or attacked.access == "ann" or not cell.plain or facts["target"] not in OWN:
            continue
        course = Course.of(attacked, judged)
        if course is not None:
            view = (facts["attack"], facts["reveals"], facts["evaluator"])
            run = unit_of(facts["target"], facts["seed"], facts["restart"]), facts["restart"]
            tables.setdefault(view, {}).setdefault(facts["substrate"], {})[run] = course
    return tables


class Floors(NamedTuple):
    """The highest attack accuracy of guessing and null controls, and that of attackers who ask nothing, if measured."""

    null: Floor
    baseline: Floor | None

    def below(self, final: float) -> Floor:
        """The higher of both, or the first if attackers who ask nothing reach the final value of the attack."""
        if self.baseline is None or self.baseline.value <= self.null.value:
            return self.null
        if self.baseline.value < final:
            return self.baseline
        return Floor(self.null.value, f"{self.null.reached_by}, since who asks nothing reaches as much as the attack")


def _floors(view: JudgedView, rows: Sequence[AuditRow], controls: Sequence[ControlFinding], chance: float) -> Floors:
    nulls = [Floor(chance, "guessing")]
    nulls += [
        Floor(control.estimate.value, f"the null control on {control.substrate}, {control.kind.replace('_', ' ')}")
        for control in controls
        if (control.attack, control.reveals, control.evaluator) == view
    ]
    baselines = [
        Floor(judged.baseline_accuracy.value, f"who asks nothing: {judged.baseline}")
        for row in rows
        if row.own and (row.attack, row.reveals) == view[:2]
        if (judged := row.evaluators.get(view[2])) is not None and judged.baseline_accuracy is not None
    ]
    best = max(baselines, key=lambda floor: floor.value, default=None)
    return Floors(max(nulls, key=lambda floor: floor.value), best)


def halfway_of(table: Mapping[str, Runs], floors: Floors, arithmetic: Arithmetics) -> Halfway:
    """The first query count per class at which the pooled attack accuracy is halfway from its floor to its final value.

    table: the courses on each substrate. The pooled attack accuracy is the mean over arithmetics of the mean over their
    substrates, of the mean over independent units.
    """
    spent = [course.spent for runs in table.values() for course in runs.values()]
    end = max(float(queries[-1]) for queries in spent)
    grid = common_grid(spent)
    grid = np.append(grid[grid < end], end)
    by_arithmetic: dict[str, list[FloatArray]] = {}
    for substrate, runs in table.items():
        along = [np.mean(values, axis=0) for values in _along(runs, "hit", grid).values()]
        by_arithmetic.setdefault(arithmetic.get(substrate) or substrate, []).append(np.mean(along, axis=0))
    pooled = np.mean([np.mean(some, axis=0) for some in by_arithmetic.values()], axis=0)
    final = float(pooled[-1])
    floor = floors.below(final)
    if final <= floor.value:
        return Halfway(None, False, final, floor)
    first = int(np.argmax(pooled >= (floor.value + final) / 2))
    return Halfway(float(grid[first]), first == 0, final, floor)


def _along(runs: Runs, measure: Measure, grid: FloatArray) -> dict[int, list[FloatArray]]:
    """By independent unit, the mean of each restart at the query counts of `grid`."""
    along: dict[int, list[FloatArray]] = {}
    for (unit, _), course in sorted(runs.items(), key=lambda item: item[0]):
        along.setdefault(unit, []).append(held_at(course.spent, course.along(measure), grid))
    return along


def _compared(
    tables: Mapping[JudgedView, Mapping[str, Runs]],
    halfway: Mapping[JudgedView, Halfway],
    records: Sequence[Record],
    margins: Mapping[str, float | None],
    unit: str,
    arithmetic: Arithmetics,
) -> dict[JudgedView, list[HalfwayComparison]]:
    """The verdicts on the pairs that the final inversions are compared in, by attack, output and evaluator."""
    compared: dict[JudgedView, list[HalfwayComparison]] = {}
    for (evaluator, measure), pairs in families(records, arithmetic).items():
        values = {}
        for number, pair in enumerate(pairs):
            view = (pair.attack, pair.reveals, evaluator)
            budget = halfway[view].queries if view in halfway else None
            one, other = (tables.get(view, {}).get(side[0], {}) for side in (pair.first, pair.second))
            if budget is not None and one.keys() & other.keys():
                values[str(number)] = paired_at(one, other, measure, budget)
        same = [name for name in values if one_arithmetic(pairs[int(name)], arithmetic)]
        verdicts = pair_verdicts(values, margins.get(evaluator), same_computation=same) if values else {}
        for name, verdict in verdicts.items():
            pair = pairs[int(name)]
            compared.setdefault((pair.attack, pair.reveals, evaluator), []).append(
                HalfwayComparison(
                    measure=measure,
                    first=pair.first,
                    second=pair.second,
                    verdict=verdict_of(verdict),
                    sentence=verdict.described(unit, alike="runs"),  # traces hold the means of runs
                )
            )
    return compared


def paired_at(one: Runs, other: Runs, measure: Measure, queries: float) -> PairedArrays:
    """The measure at a query count on two substrates, of the runs that both have: one array per independent unit.

    Hits count every inversion of a run, confidences are means of a run.
    """
    shared = one.keys() & other.keys()
    first, second = (_at({run: runs[run] for run in shared}, measure, queries) for runs in (one, other))
    return first, second


def _at(runs: Runs, measure: Measure, queries: float) -> list[FloatArray]:
    rows: dict[int, list[FloatArray]] = {}
    for (unit, _), course in sorted(runs.items(), key=lambda item: item[0]):
        mean = held_at(course.spent, course.along(measure), np.array([queries]))
        value = hits_of(mean, len(course.judged.classes))[:, 0] if measure == "hit" else mean
        rows.setdefault(unit, []).append(value)
    return [np.concatenate(values) for values in rows.values()]


def _finding(
    view: JudgedView, table: Mapping[str, Runs], halfway: Halfway, comparisons: list[HalfwayComparison]
) -> HalfwayFinding:
    attack, reveals, evaluator = view
    queries = halfway.queries
    return HalfwayFinding(
        attack=attack,
        reveals=reveals,
        evaluator=evaluator,
        floor=halfway.floor.value,
        floor_of=halfway.floor.reached_by,
        final=halfway.final,
        queries=queries,
        at_start=halfway.at_start,
        seeds=len({unit for runs in table.values() for unit, _ in runs}),
        levels=[]
        if queries is None
        else [
            HalfwayLevel(substrate=substrate, attack_accuracy=mean_of(seed_bootstrap(_at(runs, "hit", queries))))
            for substrate, runs in table.items()
        ],
        comparisons=sorted(comparisons, key=lambda one: list(MEASURES).index(one.measure)),
    )
