"""Null controls: attacks on targets without class information, whose attack accuracy must not exceed chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, RESAMPLES, Estimate, bootstrap_means, seed_bootstrap
from bl_neuro.leakage.checked import BySeed, numbers, positive
from bl_neuro.leakage.power import POWER

ROUNDING = 1e-9


@dataclass(frozen=True)
class NullVerdict:
    """The result of one null control.

    accuracy: attack accuracy with its 95% interval over target seeds, not adjusted for the number of controls.
    p: two-sided, for accuracy = chance, from the same resamples. adjusted_p: by Holm's method, over all controls.
    above_chance: the control scores above chance (adjusted p below .05), which means that the measure or the evaluator
    is biased in favour of the attack; False if the interval, at Holm's level, includes chance or lies below it.
    detectable: the smallest true accuracy that so many inversions show to be above chance with 80% power, if they are
    independent; see `detectable_accuracy`.
    """

    accuracy: Estimate
    chance: float
    p: float
    adjusted_p: float
    above_chance: bool
    detectable: float


def null_verdicts(
    controls: Mapping[str, BySeed], classes: int, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, NullVerdict]:
    """Tests null controls together against chance, 1 / classes.

    controls: by name, one array (n,) per target seed with the hits of its inversions, 0 or 1, as
    `bl_neuro.leakage.hits` returns them. "Not above chance" is an absence of evidence, stronger with more seeds; use at
    least five seeds of twenty inversions.

    Raises:
        InputError: no controls, fewer than two classes, or hits other than 0 and 1.
    """
    if not controls:
        raise InputError("controls: expected at least one, found none")
    if positive(classes, "classes") < 2:
        raise InputError(f"classes: expected at least 2, found {classes}")
    chance = 1 / classes
    for name, hits in controls.items():
        for index, values in enumerate(hits):
            if not np.isin(numbers(values, f"control {name!r}"), (0, 1)).all():
                raise InputError(f"control {name!r}, seed {index}: expected hits of 0 or 1")
    accuracies = {name: seed_bootstrap(hits, resamples, seed) for name, hits in controls.items()}
    values = [_two_sided(bootstrap_means(hits, resamples, seed), chance) for hits in controls.values()]
    return {
        name: NullVerdict(
            accuracy, chance, p, adjusted, adjusted < 1 - LEVEL and accuracy.value > chance,
            detectable_accuracy(chance, accuracy.n, len(controls)),
        )
        for (name, accuracy), p, adjusted in zip(accuracies.items(), values, holm(values).tolist())
    }  # fmt: skip


def detectable_accuracy(chance: float, inversions: int, controls: int = 1) -> float:
    """The smallest accuracy, 0..1, that is found above `chance` with 80% power by the exact binomial test of hits.

    The level is two-sided and divided among the controls that are tested together. Inversions are taken to be
    independent; if those of one target are not, it takes a larger accuracy. 1 if no accuracy below it can be found.
    """
    from scipy.stats import beta, binom

    level = (1 - LEVEL) / 2 / positive(controls, "controls")
    needed = int(binom.isf(level, positive(inversions, "inversions"), chance)) + 1
    if needed > inversions:
        return 1.0
    return float(beta.ppf(POWER, needed, inversions - needed + 1))


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
    """Two-sided p-value: twice the smaller tail of the resampled means; never 0 (Davison and Hinkley 1997, 4.2.3)."""
    tail = min((means <= chance + ROUNDING).sum(), (means >= chance - ROUNDING).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(means) + 1)))
