"""95% intervals over the inversions of one target. They say nothing about other targets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEVEL = 0.95


def proportion_interval(fraction: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a fraction observed in `count` trials, 0..1. Source: Wilson 1927, as in SciPy."""
    from scipy.stats import binomtest

    interval = binomtest(round(fraction * count), count).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Student's interval of the mean of `values` (K,); the value itself where there is only one."""
    from scipy.stats import sem, t

    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * sem(values))
    return mean - half, mean + half
