"""Power analysis of a planned experiment: its power, and the smallest difference that it detects.

A target seed's mean difference over n inversions has the sd sqrt(spread^2 + within^2 / n), from the variation between
seeds and between the inversions of one target. `paired_test` divides by an sd s that is estimated from S seeds, with
s^2 (S - 1) / sigma^2 distributed as chi^2 with S - 1 degrees of freedom. Given s, the mean is normal, so that

    power        = E_s[ Phi(d - t s) + Phi(-d - t s) ]                     d: difference / standard error
    equivalence  = E_s[ max(0, Phi(m - d - t' s) - Phi(t' s - m - d)) ]    m: margin / standard error

with t and t' the quantiles of Student's t at 1 - level / 2 and 1 - level. Source: Julious 2004, sections 3 and 5; the
first is the power of the noncentral t test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, paired_rows
from bl_neuro.leakage.checked import BySeed, numbers, positive

POWER = 0.8
MAX_SEEDS = 10_000
POINTS = 500
"""Number of equally likely values of s in the expectations."""
HALVINGS = 60


@dataclass(frozen=True)
class PowerPlan:
    """Number of target seeds and of inversions per seed, and the expected variation of paired differences.

    seeds: at least 2. inversions: per seed, at least 1. spread: sd of the true difference between seeds. within: sd of
    the difference of one pair of inversions, `hit_spread` for hits. comparisons: number of pairs tested together; the
    power is that at level 5% / comparisons, the smallest level in Holm's method.
    """

    seeds: int
    inversions: int
    spread: float
    within: float
    comparisons: int = 1

    def __post_init__(self) -> None:
        if positive(self.seeds, "seeds") < 2:
            raise InputError("seeds: expected at least 2, found 1: one seed does not show the spread between seeds")
        positive(self.inversions, "inversions")
        positive(self.comparisons, "comparisons")
        for name in ("spread", "within"):
            if float(numbers(getattr(self, name), name)) < 0:
                raise InputError(f"{name}: expected 0 or more, found {getattr(self, name)}")

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return float(np.sqrt((self.spread**2 + self.within**2 / self.inversions) / self.seeds))

    @property
    def level(self) -> float:
        """Significance level of each comparison."""
        return (1 - LEVEL) / self.comparisons

    def power(self, difference: float) -> float:
        """Probability, 0..1, that a true `difference` is detected."""
        from scipy.special import ndtr

        if self.error == 0:
            return float(difference != 0)
        shift, cut = abs(difference) / self.error, _cut(self.seeds, self.level / 2)
        return float(np.mean(ndtr(shift - cut) + ndtr(-shift - cut)))

    def equivalence_power(self, margin: float, difference: float = 0.0) -> float:
        """Probability, 0..1, that a true `difference` is shown to be within `margin`.

        For hits this is slightly too large if `within` is far below sqrt(margin); see `paired_test` on hits.
        """
        from scipy.special import ndtr

        if self.error == 0:
            return float(abs(difference) < margin)
        shift, room, cut = difference / self.error, margin / self.error, _cut(self.seeds, self.level)
        return float(np.mean(np.maximum(0.0, ndtr(room - shift - cut) - ndtr(cut - room - shift))))

    def smallest_difference(self, power: float = POWER) -> float:
        """The smallest true difference that is detected with probability `power`."""
        return _smallest(self.power, self.error, power)

    def smallest_margin(self, power: float = POWER) -> float:
        """The smallest margin within which identical substrates are shown to be equivalent with probability `power`."""
        return _smallest(self.equivalence_power, self.error, power)


def hit_spread(first: float, second: float, correlation: float) -> float:
    """Sd of the difference of paired hits, for `PowerPlan.within`, from two accuracies 0..1 and the hits' correlation.

    variance = p (1 - p) + q (1 - q) - 2 r sqrt(p (1 - p) q (1 - q)).
    """
    if not (0 <= first <= 1 and 0 <= second <= 1 and -1 <= correlation <= 1):
        raise InputError(f"expected accuracies in 0..1 and a correlation in -1..1, found {first, second, correlation}")
    variances = first * (1 - first), second * (1 - second)
    covariance = correlation * np.sqrt(variances[0] * variances[1])
    return float(np.sqrt(max(0.0, variances[0] + variances[1] - 2 * covariance)))


def observed_plan(first_by_seed: BySeed, second_by_seed: BySeed, comparisons: int = 1) -> PowerPlan:
    """The plan with the spread and within of paired measurements (see `paired_test`), such as those of a pilot run.

    For the next run use `replace(plan, seeds=25)`. Seeds may have different numbers of inversions; their mean is used.
    The spread is the part of the variance between the seeds' means that exceeds the variance within seeds, at least 0.
    """
    rows = paired_rows(first_by_seed, second_by_seed)
    inner = float(np.mean([row.var(ddof=1) if len(row) > 1 else 0.0 for row in rows]))
    inversions = max(1, round(float(np.mean([len(row) for row in rows]))))
    between = float(np.var([row.mean() for row in rows], ddof=1)) if len(rows) > 1 else 0.0
    spread = float(np.sqrt(max(0.0, between - inner / inversions)))
    return PowerPlan(len(rows), inversions, spread, float(np.sqrt(inner)), comparisons)


def seeds_needed(plan: PowerPlan, difference: float, margin: float, power: float = POWER) -> int | None:
    """Number of seeds, at least 2, that give a verdict with probability `power` if `difference` is the true one.

    Either verdict counts: a difference, or equivalence. None if 10,000 seeds are not enough.
    """

    def enough(seeds: int) -> bool:
        candidate = replace(plan, seeds=seeds)
        return max(candidate.power(difference), candidate.equivalence_power(margin, difference)) >= power

    high = 2
    while not enough(high):
        if high >= MAX_SEEDS:
            return None
        high = min(2 * high, MAX_SEEDS)
    low = max(2, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


@lru_cache(maxsize=64)
def _cut(seeds: int, tail: float) -> FloatArray:
    """The quantile of t times each s: the value that the mean must exceed, in standard errors, (POINTS,)."""
    from scipy.special import chdtri, stdtrit

    freedom = seeds - 1
    ratios = np.sqrt(chdtri(freedom, (np.arange(POINTS) + 0.5) / POINTS) / freedom)
    return np.asarray(stdtrit(freedom, 1 - tail) * ratios)


def _smallest(power_at: Callable[[float], float], error: float, power: float) -> float:
    """The smallest value at which the increasing function `power_at` reaches `power`, by bisection."""
    if not 0 < power < 1:
        raise InputError(f"power: expected between 0 and 1, found {power}")
    if error == 0:
        return 0.0
    low, high = 0.0, error
    while power_at(high) < power:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high
