"""Leakage against queries, over target seeds, from the courses that the cells of an audit kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.cells import Cell
from bl_neuro.leakage import held_at, seed_band

MEASURES = {"hit": "hits", "confidence": "confidence"}
"""Measures, and what a judgement calls their course."""
POINTS = 33
RESAMPLES = 2000
"""Enough for a band that is drawn; figures that are quoted have more."""


def course_curves(cells: Sequence[Cell], measures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A curve for each row, evaluator and measure: means over seeds with 95% intervals, against queries a class.

    Courses are held at common query counts, those of the longest. Rows whose attacks have no course are left out.
    """
    groups: dict[tuple[str, ...], dict[int, list[tuple[FloatArray, dict[str, list[float]]]]]] = {}
    for cell in cells:
        done = measures.get(cell.address) if cell.kind == "judgement" else None
        if done is None or not cell.plain or not done["course"]["queries"]:
            continue
        key = tuple(str(cell.facts[name]) for name in ("target", "substrate", "attack", "reveals", "evaluator"))
        spent = np.asarray(done["course"]["queries"], dtype=np.float64) / len(done["classes"])
        groups.setdefault(key, {}).setdefault(cell.facts["seed"], []).append((spent, done["course"]))
    return [_curve(key, by_seed, measure) for key, by_seed in groups.items() for measure in MEASURES]


def _curve(
    key: tuple[str, ...], by_seed: dict[int, list[tuple[FloatArray, dict[str, list[float]]]]], measure: str
) -> dict[str, Any]:
    courses = [course for found in by_seed.values() for course in found]
    grid = _grid([spent for spent, _ in courses])
    rows = [
        np.stack([held_at(spent, course[MEASURES[measure]], grid) for spent, course in by_seed[seed]])
        for seed in sorted(by_seed)
    ]
    band = seed_band(rows, RESAMPLES)
    return {
        **dict(zip(("target", "substrate", "attack", "reveals", "evaluator"), key)),
        "measure": measure,
        "seeds": band.seeds,
        "queries": grid.tolist(),
        **{name: _rounded(getattr(band, name)) for name in ("value", "low", "high")},
    }


def _grid(spent: list[FloatArray]) -> FloatArray:
    """Query counts at which every course has begun, those of the longest course."""
    longest = max(spent, key=lambda each: float(each[-1]))
    begin = max(float(each[0]) for each in spent)
    later = np.unique(np.concatenate([[begin], longest[longest > begin]]))
    chosen = np.unique(np.linspace(0, len(later) - 1, min(POINTS, len(later))).round().astype(np.int64))
    return np.asarray(later[chosen])


def _rounded(values: FloatArray) -> list[float]:
    """To a hundred-thousandth, as a curve can show it."""
    return [round(float(value), 5) for value in values]
