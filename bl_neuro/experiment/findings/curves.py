"""Curves of leakage against queries, over targets, from the traces in an audit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import MEASURES, Measure
from bl_neuro.experiment.findings.models import AuditCurve
from bl_neuro.experiment.findings.records import unit_of
from bl_neuro.experiment.measures import JUDGEMENT, Course, Measures
from bl_neuro.leakage import held_at, seed_band

POINTS = 33
RESAMPLES = 2000
"""Enough for a band in a figure; quoted values use more."""
Courses = dict[int, list[tuple[FloatArray, Course]]]
"""By independent unit: queries per class, and the measures along them, for each restart."""


def course_curves(cells: Sequence[Cell], measures: Measures) -> list[AuditCurve]:
    """A curve for each row, evaluator and measure: means with 95% intervals, against queries per class.

    Traces are evaluated at common query counts, those of the longest trace. Rows whose attacks have no trace are left
    out.
    """
    groups: dict[tuple[str, ...], Courses] = {}
    for cell, measured in JUDGEMENT.finished(cells, measures):
        if not cell.plain or not measured.course.queries:
            continue
        key = tuple(str(cell.facts[name]) for name in ("target", "substrate", "attack", "reveals", "evaluator"))
        spent = np.asarray(measured.course.queries, dtype=np.float64) / len(measured.classes)
        unit = unit_of(cell.facts["target"], cell.facts["seed"], cell.facts["restart"])
        groups.setdefault(key, {}).setdefault(unit, []).append((spent, measured.course))
    return [_curve(key, by_unit, measure) for key, by_unit in groups.items() for measure in MEASURES]


def _curve(key: tuple[str, ...], by_unit: Courses, measure: Measure) -> AuditCurve:
    target, substrate, attack, reveals, evaluator = key
    grid = _grid([spent for courses in by_unit.values() for spent, _ in courses])
    rows = [
        np.stack([held_at(spent, _along(course, measure), grid) for spent, course in by_unit[unit]])
        for unit in sorted(by_unit)
    ]
    band = seed_band(rows, RESAMPLES)
    return AuditCurve(
        target=target,
        substrate=substrate,
        attack=attack,
        reveals=reveals,
        evaluator=evaluator,
        measure=measure,
        seeds=band.seeds,
        queries=grid.tolist(),
        value=_rounded(band.value),
        low=_rounded(band.low),
        high=_rounded(band.high),
    )


def _along(course: Course, measure: Measure) -> list[float]:
    return course.hits if measure == "hit" else course.confidence


def _grid(spent: list[FloatArray]) -> FloatArray:
    """The query counts of the longest trace from which on every trace has an entry."""
    longest = max(spent, key=lambda queries: float(queries[-1]))
    begin = max(float(queries[0]) for queries in spent)
    later = np.unique(np.concatenate([[begin], longest[longest > begin]]))
    chosen = np.unique(np.linspace(0, len(later) - 1, min(POINTS, len(later))).round().astype(np.int64))
    return np.asarray(later[chosen])


def _rounded(values: FloatArray) -> list[float]:
    """Rounds to five decimals, which is enough for a curve."""
    return [round(float(value), 5) for value in values]
