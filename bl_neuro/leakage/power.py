"""What a plan can find before it runs: its power, and the smallest difference it detects.

A target seed's mean difference of n inversions varies by sqrt(spread^2 + within^2 / n): what differs from seed to seed,
and what differs from inversion to inversion of one target. `seed_test` then divides by an sd s that is estimated from S
seeds, with s^2 (S - 1) / sigma^2 distributed as chi^2 of S - 1. Given s, the mean is normal, so that

    power        = E_s[ Phi(d - t s) + Phi(-d - t s) ]                     d: difference / standard error
    equivalence  = E_s[ max(0, Phi(m - d - t' s) - Phi(t' s - m - d)) ]    m: margin / standard error

with t and t' the quantiles of Student's t at 1 - level / 2 and 1 - level. Source: Julious 2004, sections 3 and 5; the
first is the power of the noncentral t.
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
MOST_SEEDS = 10_000
POINTS = 500
"""Equally likely values of s over which expectations are taken."""
HALVINGS = 60


@dataclass(frozen=True)
class PowerPlan:
    """How many target seeds and inversions a seed, and how paired differences are expected to vary.

    seeds: from 2. inversions: of each seed, from 1. spread: sd of the true difference from seed to seed. within: sd of
    the difference of one pair of inversions, `hit_spread` for hits. comparisons: how many pairs are judged together;
    each is promised what it has at level 5% / comparisons, the least that Holm's method gives.
    """

    seeds: int
    inversions: int
    spread: float
    within: float
    comparisons: int = 1

    def __post_init__(self) -> None:
        if positive(self.seeds, "seeds") < 2:
            raise InputError("seeds: expected at least 2, found 1: the spread between seeds cannot be seen with one")
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
        """Level of each comparison."""
        return (1 - LEVEL) / self.comparisons

    def power(self, difference: float) -> float:
        """Probability, 0..1, that a true `difference` is found."""
        from scipy.special import ndtr

        if self.error == 0:
            return float(difference != 0)
        shift, cut = abs(difference) / self.error, _cut(self.seeds, self.level / 2)
        return float(np.mean(ndtr(shift - cut) + ndtr(-shift - cut)))

    def equivalence_power(self, margin: float, difference: float = 0.0) -> float:
        """Probability, 0..1, that a true `difference` is found to be within `margin`.

        A little more than hits have where `within` is far below sqrt(margin); see `seed_test` on hits.
        """
        from scipy.special import ndtr

        if self.error == 0:
            return float(abs(difference) < margin)
        shift, room, cut = difference / self.error, margin / self.error, _cut(self.seeds, self.level)
        return float(np.mean(np.maximum(0.0, ndtr(room - shift - cut) - ndtr(cut - room - shift))))

    def smallest_difference(self, power: float = POWER) -> float:
        """The smallest true difference that is found with probability `power`."""
        return _least(self.power, self.error, power)

    def smallest_margin(self, power: float = POWER) -> float:
        """The smallest margin within which substrates that do not differ are found equivalent, with `power`."""
        return _least(self.equivalence_power, self.error, power)


def hit_spread(first: float, second: float, correlation: float) -> float:
    """Sd of the difference of paired hits, for `PowerPlan.within`: accuracies 0..1, and the correlation of their hits.

    variance = p (1 - p) + q (1 - q) - 2 r sqrt(p (1 - p) q (1 - q)).
    """
    if not (0 <= first <= 1 and 0 <= second <= 1 and -1 <= correlation <= 1):
        raise InputError(f"expected accuracies in 0..1 and a correlation in -1..1, found {first, second, correlation}")
    one, other = first * (1 - first), second * (1 - second)
    return float(np.sqrt(max(0.0, one + other - 2 * correlation * np.sqrt(one * other))))


def observed_plan(first_by_seed: BySeed, second_by_seed: BySeed, comparisons: int = 1) -> PowerPlan:
    """The plan that paired measurements, see `paired_test`, amount to: spread and within as they show them.

    From a pilot run, for the next: `replace(plan, seeds=25)`. Seeds may differ in inversions; their mean counts. What
    the sd of the seeds' means holds beyond the sd within them is the spread, or none.
    """
    rows = paired_rows(first_by_seed, second_by_seed)
    inner = float(np.mean([row.var(ddof=1) if len(row) > 1 else 0.0 for row in rows]))
    inversions = max(1, round(float(np.mean([len(row) for row in rows]))))
    between = float(np.var([row.mean() for row in rows], ddof=1)) if len(rows) > 1 else 0.0
    spread = float(np.sqrt(max(0.0, between - inner / inversions)))
    return PowerPlan(len(rows), inversions, spread, float(np.sqrt(inner)), comparisons)


def seeds_needed(plan: PowerPlan, difference: float, margin: float, power: float = POWER) -> int | None:
    """How many seeds, at least 2, give a verdict with probability `power` if `difference` is the true one.

    Either verdict counts, that the two differ or that they are equivalent. None where 10,000 seeds do not.
    """

    def enough(seeds: int) -> bool:
        tried = replace(plan, seeds=seeds)
        return max(tried.power(difference), tried.equivalence_power(margin, difference)) >= power

    high = 2
    while not enough(high):
        if high >= MOST_SEEDS:
            return None
        high = min(2 * high, MOST_SEEDS)
    low = max(2, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


@lru_cache(maxsize=64)
def _cut(seeds: int, tail: float) -> FloatArray:
    """The quantile of t times each s: what the mean must exceed, in standard errors, (POINTS,)."""
    from scipy.special import chdtri, stdtrit

    freedom = seeds - 1
    ratios = np.sqrt(chdtri(freedom, (np.arange(POINTS) + 0.5) / POINTS) / freedom)
    return np.asarray(stdtrit(freedom, 1 - tail) * ratios)


def _least(power_at: Callable[[float], float], error: float, power: float) -> float:
    """The least value of which `power_at`, which rises, reaches `power`, by bisection."""
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
