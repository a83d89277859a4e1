"""Intervals of a measure over targets that were all attacked on one pool of samples.

Each of N targets is measured on the same n samples, so that targets and samples are crossed random factors: another
experiment would train other targets and draw another pool. With theta_t the measure of target t,

    Var(mean theta) = between + max(0, shared - own)
    between = Var_t(theta_t) / N
    shared  = Var*(mean theta*)
    own     = max(0, mean_t Var*(theta_t*) - shared) / (N - 1)

where * stands for samples that are drawn anew with replacement, the same for all targets. The first term holds the
variation between targets, including that of their samples; the second adds what the shared pool varies in all targets
at once; the last removes what both contain, the variation by samples of each target on its own. shared - own is the
covariance of two targets by the samples that they share, which is not negative. Student's distribution with N - 1
degrees of freedom gives the interval. Source: the variance of crossed random effects (Owen 2007, "The pigeonhole
bootstrap", sections 2 and 4).

The errors of small proportions, such as true-positive rates at low false-positive rates, grow with the proportion:
symmetric intervals of these missed the true value too often, mostly from below. `Crossed.proportion` therefore takes
the interval of the logit, with the standard error by the delta method: error / (p (1 - p)).

Resampling exaggerates the variation of true-positive rates at low false-positive rates, which few samples decide, in
shared and own alike. In their difference this cancels, so that shared alone is no lower bound on the variance: with
such a bound, tests of these rates found less than planned.

Targets that are the shadow networks of each other are not independent: an unusual network changes its own measure, and
the Gaussians by which all others are attacked. Their measures vary together by this, as results of cross-validation do
whose training sets overlap (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366, who also add a multiple of the
variance). Therefore

    + overlap max(0, between - own),    overlap = 24 / N

is added, a multiple of the variation between targets beyond that of their samples. It falls with N because a likelihood
ratio is the best test there is: small errors of its Gaussians matter in second order only. The constant is calibrated
by simulated audits (`scripts/measure/simulate_membership.py`) with 12 to 32 networks. Without the term, intervals of
the AUC hold the true value in only 86% of audits with 12 networks and 1,800 samples. It does not belong to shadow
networks of the attacker's own, nor to differences between deployments of the same networks, in which the effect
cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, Estimate, proportion_interval
from bl_neuro.leakage.checked import numbers, positive
from bl_neuro.seeding import stream

POOL_RESAMPLES = 200
SHADOW_OVERLAP = 24.0
"""`overlap` of targets that are the shadow networks of each other, times their number."""


@dataclass(frozen=True, eq=False)
class Crossed:
    """A measure of each target, (N,), and on R resampled pools, (R, N).

    samples: size of the pool. overlap: `shadow_overlap(N)` if the targets are the shadow networks of each other; see
    the module.
    """

    values: FloatArray
    resampled: FloatArray
    samples: int
    overlap: float = 0.0

    def minus(self, other: Crossed) -> Crossed:
        """The differences of the same targets on the same resampled pools, without `overlap`."""
        if self.resampled.shape != other.resampled.shape or self.samples != other.samples:
            raise InputError("crossed: expected the same targets, samples and resampled pools on both sides")
        return Crossed(self.values - other.values, self.resampled - other.resampled, self.samples)

    @property
    def error(self) -> float:
        """Standard error of the mean over targets; infinite for a single target."""
        return standard_error(*self.parts, self.overlap) if len(self.values) > 1 else float("inf")

    @property
    def parts(self) -> tuple[float, float, float]:
        """`between`, `shared` and `own` of the module, from two targets on."""
        targets = len(self.values)
        between = float(self.values.var(ddof=1)) / targets
        shared = float(self.resampled.mean(axis=1).var(ddof=1))
        each = float(self.resampled.var(axis=0, ddof=1).mean())
        return between, shared, max(0.0, each - shared) / (targets - 1)

    @property
    def estimate(self) -> Estimate:
        """The mean over targets with its 95% interval."""
        targets = len(self.values)
        value = float(self.values.mean())
        half = self.error * _quantile((1 + LEVEL) / 2, targets) if targets > 1 else float("inf")
        return Estimate(value, value - half, value + half, targets, targets * self.samples)

    @property
    def proportion(self) -> Estimate:
        """The mean over targets of a proportion, 0..1, with its 95% interval on the scale of the logit.

        A mean of 0 or 1 has no logit, and gets Wilson's interval for the members of one target, half the pool.
        """
        from scipy.special import expit, logit

        targets = len(self.values)
        value = min(1.0, max(0.0, float(self.values.mean())))
        if not 0 < value < 1:
            low, high = proportion_interval(value, max(1, self.samples // 2))
        elif targets == 1:
            low, high = 0.0, 1.0
        else:
            half = self.error / (value * (1 - value)) * _quantile((1 + LEVEL) / 2, targets)
            low, high = float(expit(logit(value) - half)), float(expit(logit(value) + half))
        return Estimate(value, low, high, targets, targets * self.samples)


def shadow_overlap(networks: int) -> float:
    """`Crossed.overlap` of targets that are the shadow networks of each other."""
    return SHADOW_OVERLAP / networks


def standard_error(between: float, shared: float, own: float, overlap: float) -> float:
    """The standard error from `Crossed.parts`."""
    return float(np.sqrt(between + max(0.0, shared - own) + overlap * max(0.0, between - own)))


def pool_weights(samples: int, resamples: int = POOL_RESAMPLES, seed: int = 0) -> IntArray:
    """How often each of `samples` is drawn in each of `resamples` pools with replacement, (resamples, samples)."""
    count, size = positive(resamples, "resamples"), positive(samples, "samples")
    return stream(seed, "pool resamples").multinomial(size, np.full(size, 1 / size), size=count)


@dataclass(frozen=True)
class CrossedTest:
    """A paired test of a mean difference. p: of no difference. p_equivalent: of one of at least the margin (TOST)."""

    difference: Estimate
    error: float
    p: float
    p_equivalent: float


def crossed_test(difference: Crossed, margin: float) -> CrossedTest:
    """Tests a paired difference over targets, with the margin within which it is irrelevant, above 0.

    Raises:
        InputError: a margin that is not above 0.
    """
    within = float(numbers(margin, "margin"))
    if within <= 0:
        raise InputError(f"margin: expected above 0, found {margin}")
    estimate, error = difference.estimate, difference.error
    if not np.isfinite(error):
        return CrossedTest(estimate, error, 1.0, 1.0)
    return CrossedTest(estimate, error, *difference_test(estimate.value, error, len(difference.values), within))


def difference_test(difference: float, error: float, targets: int, margin: float) -> tuple[float, float]:
    """`CrossedTest.p` and `CrossedTest.p_equivalent` of a mean difference with a finite standard error."""
    size = abs(difference)
    if error == 0:
        return float(size == 0), float(size >= margin)
    return 2 * _tail(size / error, targets), _tail((margin - size) / error, targets)


def _tail(t: float, targets: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(targets - 1, -t))


def _quantile(probability: float, targets: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(targets - 1, probability))


def crossed_of(rows: npt.ArrayLike, resampled: npt.ArrayLike, samples: int) -> Crossed:
    """A `Crossed` from values (N,) and resampled values (R, N), checked."""
    values, drawn = numbers(rows, "values"), numbers(resampled, "resampled")
    if values.ndim != 1 or drawn.ndim != 2 or drawn.shape[1] != len(values):
        raise InputError(f"resampled: expected (resamples, {len(values)}), found {drawn.shape}")
    return Crossed(values, drawn, positive(samples, "samples"))
