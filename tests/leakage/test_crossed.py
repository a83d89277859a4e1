"""Intervals over targets and a shared pool: by hand, in the limits that theory gives, and by their coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from bl_neuro import InputError
from bl_neuro.leakage.crossed import (
    Crossed,
    crossed_of,
    crossed_test,
    pool_weights,
    shadow_overlap,
    standard_error,
)

RNG = np.random.default_rng(0)
ALONE = Crossed(RNG.normal(0.6, 0.02, 9), np.zeros((50, 9)), 100)
"""Targets whose measure does not depend on the pool."""


def test_the_parts_by_hand() -> None:
    values, resampled = np.array([1.0, 3.0, 2.0]), np.array([[1.0, 4.0, 1.0], [3.0, 2.0, 4.0], [2.0, 6.0, 1.0]])
    one = Crossed(values, resampled, 10)
    shared = float(np.var([2.0, 3.0, 3.0], ddof=1))
    between, own = 1 / 3, ((1 + 4 + 3) / 3 - shared) / 2
    assert one.parts == pytest.approx((between, shared, own))
    assert one.error == pytest.approx(np.sqrt(between + max(shared - own, 0)))


@pytest.mark.parametrize(
    ("between", "shared", "own", "overlap", "variance"),
    [
        (4.0, 3.0, 1.0, 0.0, 6.0),
        (4.0, 3.0, 1.0, 2.0, 12.0),  # 2 (4 - 1) more
        (1.0, 3.0, 2.0, 2.0, 2.0),  # resampled pools vary more than targets do: shared is no lower bound
        (1.0, 0.5, 2.0, 2.0, 1.0),  # samples do not make two targets less alike
    ],
)
def test_the_standard_error_of_the_parts(
    between: float, shared: float, own: float, overlap: float, variance: float
) -> None:
    assert standard_error(between, shared, own, overlap) == pytest.approx(variance**0.5)


def test_targets_that_are_shadow_networks_of_each_other_have_wider_intervals() -> None:
    one = Crossed(ALONE.values, ALONE.resampled, 100, shadow_overlap(9))
    assert one.error == pytest.approx(np.sqrt(1 + 24 / 9) * ALONE.error)
    assert one.minus(one).overlap == 0.0
    assert one.minus(ALONE).overlap == 0.0


def test_the_error_of_two_parts() -> None:
    values, resampled = np.array([1.0, 3.0]), np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    one = Crossed(values, resampled, 10)
    assert one.parts == pytest.approx((2 / 2, 1.0, 0.0))  # the pool varies both alike
    assert one.error == pytest.approx(np.sqrt(2.0))
    assert (one.estimate.value, one.estimate.seeds, one.estimate.n) == (2.0, 2, 20)
    half = student.ppf(0.975, 1) * one.error
    assert (one.estimate.low, one.estimate.high) == pytest.approx((2 - half, 2 + half))


def test_without_a_pools_variation_it_is_the_t_interval_of_the_targets() -> None:
    theirs = ttest_1samp(ALONE.values, 0.0).confidence_interval(0.95)
    assert (ALONE.estimate.low, ALONE.estimate.high) == pytest.approx((theirs.low, theirs.high))


def test_a_variation_that_all_targets_share_does_not_shrink_with_their_number() -> None:
    pool = RNG.normal(0, 0.03, (400, 1))
    for targets in (4, 40):
        one = Crossed(np.full(targets, 0.6), np.tile(pool, targets), 100)
        assert one.error == pytest.approx(pool.std(ddof=1))


def test_variation_of_each_target_alone_is_not_counted_twice() -> None:
    """If pools vary every target on its own, the variation between targets already holds all of it."""
    noise, values = RNG.normal(0, 1, (4000, 16)), RNG.normal(0, 1, 16)
    one = Crossed(values / values.std(ddof=1), noise, 100)
    assert one.error == pytest.approx(1 / 4, rel=0.05)


def test_a_single_target_says_nothing_about_others() -> None:
    one = Crossed(np.array([0.6]), np.zeros((5, 1)), 100)
    assert (one.estimate.low, one.estimate.high) == (-np.inf, np.inf)
    test = crossed_test(one, 0.1)
    assert (test.p, test.p_equivalent) == (1.0, 1.0)


def test_a_proportion_has_the_interval_of_its_logit() -> None:
    values = np.array([0.01, 0.03, 0.02, 0.04])
    one = Crossed(values, np.zeros((50, 4)), 100)
    half = student.ppf(0.975, 3) * values.std(ddof=1) / 2 / (0.025 * 0.975)
    low, high = (1 / (1 + np.exp(-(np.log(0.025 / 0.975) + sign * half))) for sign in (-1, 1))
    assert one.proportion.value == one.estimate.value == pytest.approx(0.025)
    assert (one.proportion.low, one.proportion.high) == pytest.approx((low, high))
    assert 0 < one.proportion.low < one.proportion.high < 1
    assert one.proportion.high - 0.025 > 0.025 - one.proportion.low  # skewed like the errors of small proportions


@pytest.mark.parametrize(("value", "interval"), [(0.0, (0.0, 0.0713)), (1.0, (0.9287, 1.0))])
def test_a_proportion_of_0_or_1_has_wilsons_interval(value: float, interval: tuple[float, float]) -> None:
    one = Crossed(np.full(4, value), np.zeros((50, 4)), 100).proportion  # 50 members: z^2 / (50 + z^2)
    assert (one.low, one.high) == pytest.approx(interval, abs=1e-4)


def test_a_proportion_of_a_single_target_says_nothing_about_others() -> None:
    one = Crossed(np.array([0.2]), np.zeros((5, 1)), 100).proportion
    assert (one.value, one.low, one.high) == (0.2, 0.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "samples"), [(10, 40), (20, 200)])
def test_the_interval_covers_the_mean_of_crossed_effects(targets: int, samples: int) -> None:
    """A mean over samples: target effect + sample effect + both, with the truth 0."""
    rng, covered, naive = np.random.default_rng(1), [], []
    for audit in range(200):
        table = 0.05 * rng.standard_normal((targets, 1)) + rng.standard_normal(samples)
        table = table + rng.standard_normal((targets, samples))
        weights = pool_weights(samples, 60, audit) / samples
        one = Crossed(table.mean(axis=1), weights @ table.T, samples)
        covered.append(one.estimate.low <= 0 <= one.estimate.high)
        alone = ttest_1samp(one.values, 0.0).confidence_interval(0.95)
        naive.append(alone.low <= 0 <= alone.high)
    assert 0.92 <= np.mean(covered) <= 0.985
    assert np.mean(naive) < 0.8


def test_pools_are_drawn_with_replacement() -> None:
    weights = pool_weights(30, 4000, 1)
    assert weights.shape == (4000, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.08)
    assert weights.var(axis=0).mean() == pytest.approx(29 / 30, rel=0.05)
    assert (weights == pool_weights(30, 4000, 1)).all()
    assert (weights != pool_weights(30, 4000, 2)).any()


def test_differences_are_paired() -> None:
    values, resampled = RNG.random(6), RNG.random((20, 6))
    first = Crossed(values, resampled, 50)
    second = Crossed(values + 0.25, resampled + 0.25, 50)
    assert second.minus(first).error == pytest.approx(0, abs=1e-12)
    assert second.minus(first).estimate.value == pytest.approx(0.25)
    for other in (Crossed(values, resampled, 51), Crossed(values[:5], resampled[:, :5], 50)):
        with pytest.raises(InputError, match="the same targets, samples and resampled pools"):
            first.minus(other)


def test_the_test_is_the_t_test_of_the_targets_without_a_pools_variation() -> None:
    difference = Crossed(ALONE.values - 0.59, ALONE.resampled, 100)
    result = crossed_test(difference, 0.05)
    theirs = ttest_1samp(difference.values, 0.0)
    assert result.p == pytest.approx(theirs.pvalue)
    tost = max(
        ttest_1samp(difference.values, -0.05, alternative="greater").pvalue,
        ttest_1samp(difference.values, 0.05, alternative="less").pvalue,
    )
    assert result.p_equivalent == pytest.approx(tost)
    assert result.error == pytest.approx(difference.error)
    assert result.difference == difference.estimate


@pytest.mark.parametrize("size", [0.0, 0.03, 0.1, 0.2])
def test_decisions_are_those_of_intervals(size: float) -> None:
    """A difference is found if the 95% interval misses 0; equivalence, if the 90% interval is within the margin."""
    one = Crossed(ALONE.values - ALONE.values.mean() + size, ALONE.resampled, 100)
    for sign in (1, -1):
        turned = Crossed(sign * one.values, one.resampled, 100)
        result, half = crossed_test(turned, 0.11), student.ppf(0.95, 8) * one.error
        assert (result.p < 0.05) == (result.difference.low > 0 or result.difference.high < 0)
        assert (result.p_equivalent < 0.05) == (size + half < 0.11)


def test_identical_answers_are_equivalent_and_constant_differences_are_found() -> None:
    none = crossed_test(Crossed(np.zeros(4), np.zeros((5, 4)), 9), 0.1)
    assert (none.p, none.p_equivalent) == (1.0, 0.0)
    some = crossed_test(Crossed(np.full(4, 0.25), np.full((5, 4), 0.25), 9), 0.1)
    assert (some.p, some.p_equivalent) == (0.0, 1.0)


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_a_margin_is_above_0(margin: float) -> None:
    with pytest.raises(InputError, match="margin: expected"):
        crossed_test(ALONE, margin)


def test_values_are_checked() -> None:
    assert crossed_of([0.5, 0.6], [[0.5, 0.6]] * 3, 10).samples == 10
    cases: list[tuple[Any, Any, Any]] = [([0.5], [[0.5, 0.6]], 10), ([[0.5]], [[0.5]], 10), ([0.5], [0.5], 10)]
    for values, resampled, samples in cases:
        with pytest.raises(InputError, match="resampled: expected"):
            crossed_of(values, resampled, samples)
    with pytest.raises(InputError, match="samples: expected"):
        crossed_of([0.5, 0.6], [[0.5, 0.6]], 0)
    with pytest.raises(InputError, match="resamples: expected"):
        pool_weights(10, 0)
