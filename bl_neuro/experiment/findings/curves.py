"""Leakage against queries, over target seeds, from the courses that the cells of an audit kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import MEASURES, Measure
from bl_neuro.experiment.findings.models import AuditCurve
from bl_neuro.leakage import held_at, seed_band

KEPT: dict[Measure, str] = {"hit": "hits", "confidence": "confidence"}
"""What a judgement calls the course of each measure."""
POINTS = 33
RESAMPLES = 2000
"""Enough for a band that is drawn; figures that are quoted have more."""
Courses = dict[int, list[tuple[FloatArray, dict[str, list[float]]]]]
"""By target seed: queries per class, and what the judgement kept along them, of each restart."""


def course_curves(cells: Sequence[Cell], measures: dict[str, dict[str, Any]]) -> list[AuditCurve]:
    """A curve for each row, evaluator and measure: means over seeds with 95% intervals, against queries per class.

    Courses are held at common query counts, those of the longest. Rows whose attacks have no course are left out.
    """
    groups: dict[tuple[str, ...], Courses] = {}
    for cell in cells:
        measured = measures.get(cell.address) if cell.kind == "judgement" else None
        if measured is None or not cell.plain or not measured["course"]["queries"]:
            continue
        key = tuple(str(cell.facts[name]) for name in ("target", "substrate", "attack", "reveals", "evaluator"))
        spent = np.asarray(measured["course"]["queries"], dtype=np.float64) / len(measured["classes"])
        groups.setdefault(key, {}).setdefault(cell.facts["seed"], []).append((spent, measured["course"]))
    return [_curve(key, by_seed, measure) for key, by_seed in groups.items() for measure in MEASURES]


def _curve(key: tuple[str, ...], by_seed: Courses, measure: Measure) -> AuditCurve:
    target, substrate, attack, reveals, evaluator = key
    grid = _grid([spent for courses in by_seed.values() for spent, _ in courses])
    rows = [
        np.stack([held_at(spent, course[KEPT[measure]], grid) for spent, course in by_seed[seed]])
        for seed in sorted(by_seed)
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


def _grid(spent: list[FloatArray]) -> FloatArray:
    """Query counts at which every course has begun, those of the longest course."""
    longest = max(spent, key=lambda queries: float(queries[-1]))
    begin = max(float(queries[0]) for queries in spent)
    later = np.unique(np.concatenate([[begin], longest[longest > begin]]))
    chosen = np.unique(np.linspace(0, len(later) - 1, min(POINTS, len(later))).round().astype(np.int64))
    return np.asarray(later[chosen])


def _rounded(values: FloatArray) -> list[float]:
    """To a hundred-thousandth, as a curve can show it."""
    return [round(float(value), 5) for value in values]
