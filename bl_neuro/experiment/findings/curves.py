"""Curves of leakage against queries, over targets, from the traces in an audit.

A trace holds the spike rates that an attack had reached after so many queries, and its judgement holds the means over
classes that an evaluator gave them. The last point of a curve is the final inversions, as in the rows of the audit:
these are spikes, which can score otherwise than the rates that they were drawn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import MEASURES, Measure
from bl_neuro.experiment.findings.models import AuditCurve
from bl_neuro.experiment.findings.records import unit_of
from bl_neuro.experiment.measures import ATTACK, JUDGEMENT, AttackMeasures, JudgementMeasures, Measures
from bl_neuro.leakage import Band, held_at, hit_band, hit_bootstrap, seed_band, seed_bootstrap
from bl_neuro.leakage.comparison import FEW_SEEDS

POINTS = 33
RESAMPLES = 2000
"""Enough for a band in a figure; the last point uses as many as the rows."""


@dataclass(frozen=True)
class Course:
    """One attack along its trace. spent: queries per class (G,), the last with the final inversions."""

    spent: FloatArray
    judged: JudgementMeasures

    @classmethod
    def of(cls, attacked: AttackMeasures, judged: JudgementMeasures) -> Course | None:
        """The course of a finished attack; None without a trace. Queries after its last entry belong to the end."""
        if not judged.course.queries:
            return None
        spent = np.asarray(judged.course.queries, dtype=np.float64) / len(judged.classes)
        total = attacked.queries / len(judged.classes)
        return cls(np.append(spent, total) if total > spent[-1] else spent, judged)

    def final(self, measure: Measure) -> FloatArray:
        """The measure of each final inversion (K,)."""
        return np.asarray(self.judged.hits if measure == "hit" else self.judged.confidence, dtype=np.float64)

    def along(self, measure: Measure) -> FloatArray:
        """Means over classes (G,): of the rates along the trace, then of the final inversions."""
        traced = self.judged.course.hits if measure == "hit" else self.judged.course.confidence
        return np.array([*traced[: len(self.spent) - 1], np.mean(self.final(measure))])


Courses = dict[int, list[Course]]
"""The attacks of each independent unit."""


def course_curves(cells: Sequence[Cell], measures: Measures) -> list[AuditCurve]:
    """A curve for each row, evaluator and measure: means with 95% intervals, against queries per class.

    Traces are evaluated at common query counts, those of the longest trace; the last point is the row itself. Rows
    whose attacks have no trace are left out.
    """
    groups: dict[tuple[str, ...], Courses] = {}
    for cell, judged in JUDGEMENT.finished(cells, measures):
        attacked = ATTACK.of(cell.needs[0], measures)
        course = None if attacked is None or not cell.plain else Course.of(attacked, judged)
        if course is None:
            continue
        key = tuple(str(cell.facts[name]) for name in ("target", "substrate", "attack", "reveals", "evaluator"))
        unit = unit_of(cell.facts["target"], cell.facts["seed"], cell.facts["restart"])
        groups.setdefault(key, {}).setdefault(unit, []).append(course)
    return [_curve(key, by_unit, measure) for key, by_unit in groups.items() for measure in MEASURES]


def _curve(key: tuple[str, ...], by_unit: Courses, measure: Measure) -> AuditCurve:
    target, substrate, attack, reveals, evaluator = key
    units = [by_unit[unit] for unit in sorted(by_unit)]
    end = max(float(course.spent[-1]) for courses in units for course in courses)
    grid = common_grid([course.spent for courses in units for course in courses])
    grid = grid[grid < end]
    final = [np.concatenate([course.final(measure) for course in courses]) for courses in units]
    row = hit_bootstrap(final) if measure == "hit" else seed_bootstrap(final)
    band = _band(units, measure, grid) if len(grid) else None
    return AuditCurve(
        target=target,
        substrate=substrate,
        attack=attack,
        reveals=reveals,
        evaluator=evaluator,
        measure=measure,
        seeds=len(units),
        queries=[*grid.tolist(), end],
        value=[*([] if band is None else _rounded(band.value)), round(row.value, 5)],
        low=[*_ends(band, band.low if band else None, measure), _end(row.low, row.low == row.high)],
        high=[*_ends(band, band.high if band else None, measure), _end(row.high, row.low == row.high)],
    )


def _band(units: Sequence[Sequence[Course]], measure: Measure, grid: FloatArray) -> Band:
    """Means and intervals at the query counts of `grid`: of hits as in the rows, of confidences over attacks."""
    rows = []
    for courses in units:
        along = [held_at(course.spent, course.along(measure), grid) for course in courses]
        sizes = [len(course.judged.classes) for course in courses]
        hits = measure == "hit"
        rows.append(np.concatenate([hits_of(*one) for one in zip(along, sizes)]) if hits else np.stack(along))
    return hit_band(rows, RESAMPLES) if measure == "hit" else seed_band(rows, RESAMPLES)


def hits_of(shares: FloatArray, count: int) -> FloatArray:
    """The hits of `count` inversions, (count, H), whose means are `shares` (H,); which of them hit is not stored."""
    return np.asarray(np.arange(count)[:, None] < np.round(shares * count), dtype=np.float64)


def _ends(band: Band | None, ends: FloatArray | None, measure: Measure) -> list[float | None]:
    """Ends of intervals. None for confidences of few units, whose inversions are not stored, and without a width."""
    if band is None or ends is None:
        return []
    few = measure == "confidence" and band.seeds < FEW_SEEDS
    return [_end(value, few or low == high) for value, low, high in zip(ends, band.low, band.high)]


def _end(value: float, unknown: bool) -> float | None:
    return None if unknown else round(float(value), 5)


def common_grid(spent: list[FloatArray]) -> FloatArray:
    """The query counts of the longest trace from which on every trace has an entry."""
    longest = max(spent, key=lambda queries: float(queries[-1]))
    begin = max(float(queries[0]) for queries in spent)
    later = np.unique(np.concatenate([[begin], longest[longest > begin]]))
    chosen = np.unique(np.linspace(0, len(later) - 1, min(POINTS, len(later))).round().astype(np.int64))
    return np.asarray(later[chosen])


def _rounded(values: FloatArray) -> list[float]:
    """Rounds to five decimals, which is enough for a curve."""
    return [round(float(value), 5) for value in values]
