"""Paired tests over target seeds: against SciPy and statsmodels, on degenerate data, and by their level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_rel
from scipy.stats import t as student

from bl_neuro import InputError
from bl_neuro.leakage import paired_test

RNG = np.random.default_rng(0)


def against_zero(differences: Sequence[Any], margin: float = 0.05) -> Any:
    return paired_test(differences, [np.zeros_like(np.asarray(row, float)) for row in differences], margin)


def test_it_is_the_paired_t_test_of_the_seeds_means() -> None:
    first, second = [RNG.random(n) for n in (9, 4, 20, 7)], [RNG.random(n) for n in (9, 4, 20, 7)]
    result = paired_test(first, second, 0.2)
    theirs = ttest_rel([row.mean() for row in first], [row.mean() for row in second])
    assert result.p == pytest.approx(theirs.pvalue)
    assert (result.difference.low, result.difference.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert (result.difference.seeds, result.difference.n) == (4, 40)
    assert not result.identical


@pytest.mark.parametrize("shift", [0.0, 0.02, -0.049, 0.08])
def test_equivalence_is_statsmodels_tost(shift: float) -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    first = RNG.random(12)
    second = first - shift + RNG.normal(0, 0.03, 12)
    p, _, _ = weightstats.ttost_paired(first, second, -0.05, 0.05)
    assert paired_test(first[:, None], second[:, None], 0.05).p_equivalent == pytest.approx(p)


def test_the_order_turns_the_sign_alone() -> None:
    first, second = RNG.random((5, 8)), RNG.random((5, 8))
    one, other = paired_test(first, second, 0.1), paired_test(second, first, 0.1)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert (one.p, one.p_equivalent) == pytest.approx((other.p, other.p_equivalent))


@pytest.mark.parametrize("seeds", [2, 12, 40])
def test_agreement_of_all_has_the_exact_interval_of_the_seeds(seeds: int) -> None:
    """As many inversions as one likes: the bound is Clopper and Pearson's for 0 of S seeds, one-sided at 5%."""
    rows = [RNG.random(6) < 0.8 for _ in range(seeds)]
    result = paired_test(rows, rows, 0.1)
    bound = binomtest(0, seeds, alternative="less").proportion_ci(0.95).high
    assert result.identical
    assert (result.difference.value, result.difference.low) == (0.0, -result.difference.high)
    assert result.difference.high == pytest.approx(bound)
    assert result.p == 1.0
    assert result.p_equivalent == pytest.approx(0.9**seeds)
    assert (result.p_equivalent < 0.05) == (result.difference.high < 0.1) == (seeds == 40)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 12, 29, 40])
def test_agreement_of_all_keeps_its_level_even_if_whole_targets_disagree(seeds: int) -> None:
    """The hardest case: a tenth of the targets disagree on every inversion, all others on none."""
    rng, margin = np.random.default_rng(seeds), 0.1
    wrong, missed = [], []
    for _ in range(2_000):
        rows = [np.full(10, float(apart)) for apart in rng.random(seeds) < margin]
        result = against_zero(rows, margin)
        wrong.append(result.identical and result.p_equivalent < 0.05)
        missed.append(result.identical and result.difference.high < margin)
    assert np.mean(wrong) <= 0.06
    assert np.mean(missed) <= 0.06


def test_means_that_agree_are_not_identical() -> None:
    result = paired_test([[1, 0]] * 6, [[0, 1]] * 6, 0.05)
    assert not result.identical
    assert result.difference.value == 0
    assert result.error == pytest.approx(np.sqrt(np.var([1, -1], ddof=1) / 2 / 6)), "from within the seeds"
    assert result.p == 1
    assert result.p_equivalent > 0.05


def test_two_seeds_that_happen_to_agree_prove_nothing() -> None:
    result = against_zero([[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]] * 2)
    assert result.p > 0.05
    assert result.difference.low < 0 < result.difference.high


@pytest.mark.parametrize(("seeds", "shown"), [(2, False), (3, False), (5, True), (12, True)])
def test_accuracies_of_one_and_zero(seeds: int, shown: bool) -> None:
    result = paired_test(np.ones((seeds, 10)), np.zeros((seeds, 10)), 0.05)
    assert result.difference.value == 1
    assert result.error == pytest.approx(1 / seeds)
    assert (result.p < 0.05) == shown
    assert result.p_equivalent > 0.5


def test_rounding_is_no_spread() -> None:
    result = against_zero([[0.1 + 0.2], [0.3], [0.3]])
    assert result.spread == 0
    assert result.p == pytest.approx(0.0955, abs=1e-3)


def test_hits_that_happen_to_agree_are_not_yet_equivalent() -> None:
    """One pair of 24 differs: 12 seeds of two cannot tell that from the margin; 12 of forty can."""
    few, many = np.zeros((12, 2)), np.zeros((12, 40))
    few[0, 0] = many[0, 0] = 1
    least = np.sqrt((0.05 - 0.05**2) / 2 / 12)
    result = against_zero(list(few))
    assert result.error < least
    assert result.p_equivalent == pytest.approx(student.sf((0.05 - 1 / 24) / least, 11))
    assert result.p_equivalent > 0.05 > against_zero(list(many)).p_equivalent
    confidences = few / 2
    other = against_zero(list(confidences))
    assert other.p_equivalent == pytest.approx(student.sf((0.05 - 1 / 48) / other.error, 11)), "no hits: no least"


@pytest.mark.parametrize("second", [[0, 0, 0, 0], [1, 1, 1, 0]])
def test_one_seed_gives_no_test(second: list[int]) -> None:
    result = paired_test([[1, 1, 1, 0]], [second], 0.05)
    assert (result.p, result.p_equivalent) == (1.0, 1.0)
    assert (result.difference.low, result.difference.high) == (-np.inf, np.inf)


@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=5), min_size=1, max_size=6),
    st.sampled_from([1e-6, 0.05, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_any_hits_give_probabilities(differences: list[list[int]], margin: float) -> None:
    result = against_zero(differences, margin)
    assert 0 <= result.p <= 1
    assert 0 <= result.p_equivalent <= 1
    assert result.difference.low <= result.difference.value <= result.difference.high


@pytest.mark.parametrize(("seeds", "inversions", "spread"), [(5, 10, 0.05), (12, 10, 0.0), (25, 4, 0.05)])
@pytest.mark.slow
def test_the_level_is_held(seeds: int, inversions: int, spread: float) -> None:
    rng = np.random.default_rng(1)
    wrong, missed = [], []
    for _ in range(1_000):
        level = rng.normal(0.8, 0.05, (seeds, 1))
        half = rng.uniform(-1, 1, (seeds, 1)) * spread * np.sqrt(3) / 2
        shared = rng.random((seeds, inversions))
        own = np.where(rng.random((2, seeds, inversions)) < 0.5, shared, rng.random((2, seeds, inversions)))
        result = paired_test(own[0] < level + half, own[1] < level - half, 0.05)
        wrong.append(result.p < 0.05)
        missed.append(not result.difference.low <= 0 <= result.difference.high)
    assert np.mean(wrong) <= 0.05 + 0.02
    assert np.mean(missed) == np.mean(wrong)


@pytest.mark.parametrize("margin", [0, -0.1])
def test_refuses_margins(margin: float) -> None:
    with pytest.raises(InputError, match="margin: expected above 0"):
        paired_test([[1.0]], [[0.0]], margin)


def test_refuses_unpaired_results() -> None:
    with pytest.raises(InputError, match="second: expected 1 seeds like the first, found 2"):
        paired_test([[1.0]], [[1.0], [2.0]], 0.05)
