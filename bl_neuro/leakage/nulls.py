"""Null controls: attacks on targets that have no class to give away. They must come out at chance, or below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, RESAMPLES, Estimate, bootstrap_means, seed_bootstrap
from bl_neuro.leakage.checked import BySeed, numbers, positive

ROUNDING = 1e-9


@dataclass(frozen=True)
class NullVerdict:
    """What one null control shows.

    accuracy: attack accuracy with its 95% interval over target seeds, not yet adjusted for the number of controls.
    p: two-sided, of chance, from the same resamples. adjusted_p: Holm's, over all controls judged together.
    above_chance: the control scores more than guessing (adjusted p below .05), and so the measure or the evaluator
    favours the attack; False where the interval, at Holm's level, includes chance or lies below it.
    """

    accuracy: Estimate
    chance: float
    p: float
    adjusted_p: float
    above_chance: bool


def null_verdicts(
    controls: Mapping[str, BySeed], classes: int, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, NullVerdict]:
    """Judges null controls together, against chance, 1 / classes.

    controls: by name, one array a target seed with the hits of its inversions, (n,), 0 or 1, as
    `bl_neuro.leakage.hits` gives them. Absence of evidence: "not above chance" tells more the more seeds there are;
    five seeds of twenty inversions is the least to rely on.

    Raises:
        InputError: no controls, fewer than two classes, or hits other than 0 and 1.
    """
    if not controls:
        raise InputError("controls: expected at least one, found none")
    if positive(classes, "classes") < 2:
        raise InputError(f"classes: expected at least 2, found {classes}")
    chance = 1 / classes
    for name, hits in controls.items():
        for place, values in enumerate(hits):
            if not np.isin(numbers(values, f"control {name!r}"), (0, 1)).all():
                raise InputError(f"control {name!r}, seed {place}: expected hits of 0 or 1")
    accuracies = {name: seed_bootstrap(hits, resamples, seed) for name, hits in controls.items()}
    values = [_two_sided(bootstrap_means(hits, resamples, seed), chance) for hits in controls.values()]
    return {
        name: NullVerdict(found, chance, p, adjusted, adjusted < 1 - LEVEL and found.value > chance)
        for (name, found), p, adjusted in zip(accuracies.items(), values, holm(values).tolist())
    }


def holm(values: npt.ArrayLike) -> FloatArray:
    """P-values (m,) adjusted for m comparisons by Holm's step-down method, 0..1. Source: Holm 1979."""
    p = numbers(values, "p")
    if p.ndim != 1 or (len(p) and (p.min() < 0 or p.max() > 1)):
        raise InputError(f"p: expected p-values (m,) in 0..1, found shape {p.shape}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def _two_sided(means: FloatArray, chance: float) -> float:
    """Twice the smaller tail of the resampled means beyond chance; never 0 (Davison and Hinkley 1997, 4.2.3)."""
    tail = min((means <= chance + ROUNDING).sum(), (means >= chance - ROUNDING).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(means) + 1)))
