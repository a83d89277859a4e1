"""Paired tests over target seeds: whether a measure differs, and whether the difference is within a margin.

The independent unit is the target seed. With d the mean differences of the S seeds, first minus second,

    t = mean(d) / (sd(d) / sqrt(S)),   S - 1 degrees of freedom

tests for a difference, and two one-sided tests at +-margin test for equivalence (TOST; Schuirmann 1987). The sd of the
seeds' means includes the variance between and within seeds, so no resampling is needed. In simulations of hits
(`scripts/measure/simulate_statistics.py`) the test keeps its level with 3 to 25 seeds; percentile intervals of
resampled seeds do not, and the hierarchical bootstrap, which counts the variance within seeds twice, has less power.

Differences of hits are -1, 0 or 1: if their mean were the margin m, the mean of their squares would be at least m, and
their variance at least m - m^2. The equivalence test uses at least this variance within seeds (like Tango's 1998 score
test of paired proportions); otherwise a few pairs that agree by chance would indicate a small difference.

If every inversion scores the same, no variance is observed, and the test uses a bound that needs none. A difference of
at least m between measures in 0..1 means that a share of at least m of all inversions disagree, and so at least one in
a share m of all seeds or more. S seeds without such an inversion therefore have a probability of at most (1 - m)^S,
which is the p-value of equivalence; the 95% interval is the exact one of 0 of S seeds, up to 1 - 0.05^(1 / S) (about
3 / S, the rule of three). This counts seeds alone: the inversions of one target may all agree for the same reason. It
is conservative if they do not, and may leave open what a test with a few disagreements would call equivalent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, Estimate, paired_rows
from bl_neuro.leakage.checked import BySeed, numbers

SAME = 1e-12
"""Means of seeds that differ by less than this are considered equal; the difference is rounding."""


@dataclass(frozen=True)
class PairedTest:
    """Paired test of first minus second over target seeds.

    difference: in the measure's units, with Student's 95% interval. spread: sd of the seeds' differences, 0 with one
    seed. error: standard error of the difference. p: two-sided, for the null hypothesis of no difference. p_equivalent:
    for the null hypothesis that the absolute difference is at least the margin. identical: every inversion has
    bit-identical scores in both.

    With one seed the interval is unbounded and both p-values are 1.
    """

    difference: Estimate
    spread: float
    error: float
    p: float
    p_equivalent: float
    identical: bool


def paired_test(first_by_seed: BySeed, second_by_seed: BySeed, margin: float) -> PairedTest:
    """Tests first against second, for the same inversions of the same target seeds in the same order.

    Each is one array (n,) per seed; every seed has the same weight. margin: above 0, in the measure's units (0.05 is
    five percentage points of accuracy), chosen in advance.

    If the means of all seeds are equal, the standard error is estimated from the variance within seeds; if that is zero
    as well, as if there were one more seed without a difference (error = difference / S).

    Raises:
        InputError: seeds or shapes that cannot be paired, or a margin that is not above 0.
    """
    within = float(numbers(margin, "margin"))
    if within <= 0:
        raise InputError(f"margin: expected above 0, found {margin}")
    rows = paired_rows(first_by_seed, second_by_seed)
    means = np.array([row.mean() for row in rows])
    value, count = float(means.mean()), sum(map(len, rows))
    identical = not any(row.any() for row in rows)
    if len(rows) < 2:
        return PairedTest(Estimate(value, -np.inf, np.inf, 1, count), 0.0, np.inf, 1.0, 1.0, identical)
    if identical:
        return _of_identical(len(rows), count, within)
    spread, error = _errors(rows, means)
    half = _quantile((1 + LEVEL) / 2, len(rows)) * error
    estimate = Estimate(value, value - half, value + half, len(rows), count)
    p = 2 * _tail(abs(value) / error, len(rows))
    apart = max(error, _least_error(rows, within))
    return PairedTest(estimate, spread, error, p, _tail((within - abs(value)) / apart, len(rows)), False)


def _of_identical(seeds: int, count: int, margin: float) -> PairedTest:
    """The test if every inversion scores the same; see the module."""
    apart = 1 - (1 - LEVEL) ** (1 / seeds)
    estimate = Estimate(0.0, -apart, apart, seeds, count)
    return PairedTest(estimate, 0.0, 0.0, 1.0, (1 - min(margin, 1.0)) ** seeds, True)


def _errors(rows: list[FloatArray], means: FloatArray) -> tuple[float, float]:
    """Sd of the seeds' means, and the standard error of their mean."""
    seeds = len(rows)
    if np.ptp(means) > SAME:
        spread = float(means.std(ddof=1))
        return spread, spread / float(np.sqrt(seeds))
    inner = float(np.mean([row.var(ddof=1) / len(row) if len(row) > 1 else 0.0 for row in rows]))
    if inner > SAME**2:
        return 0.0, float(np.sqrt(inner / seeds))
    return 0.0, max(abs(float(means.mean())) / seeds, SAME)


def _least_error(rows: list[FloatArray], margin: float) -> float:
    """Smallest standard error of hits whose mean difference equals the margin; 0 for other measures."""
    if margin >= 1 or not all(np.isin(row, (-1, 0, 1)).all() for row in rows):
        return 0.0
    return float(np.sqrt(np.mean([(margin - margin**2) / len(row) for row in rows]) / len(rows)))


def _tail(t: float, seeds: int) -> float:
    """Upper tail probability of Student's t distribution."""
    from scipy.special import stdtr

    return float(stdtr(seeds - 1, -t))


def _quantile(probability: float, seeds: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(seeds - 1, probability))
