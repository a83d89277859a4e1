"""95% intervals over the inversions of one target. They say nothing about other targets, see `bootstrap`."""

from __future__ import annotations

import numpy.typing as npt

from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers, positive

LEVEL = 0.95


def proportion_interval(fraction: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a fraction observed in `count` trials, 0..1. Source: Wilson 1927, as in SciPy."""
    from scipy.stats import binomtest

    trials = positive(count, "count")
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction: expected 0..1, found {fraction}")
    interval = binomtest(round(fraction * trials), trials).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Student's interval of the mean of `values` (K,); the value itself where there is only one."""
    from scipy.stats import sem, t

    found = numbers(values, "values")
    if found.ndim != 1 or len(found) == 0:
        raise InputError(f"values: expected (K,) with K of 1 or more, found {found.shape}")
    mean = float(found.mean())
    if len(found) < 2:
        return mean, mean
    half = float(t.ppf((1 + LEVEL) / 2, len(found) - 1) * sem(found))
    return mean - half, mean + half
