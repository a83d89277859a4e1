"""Verdicts on pairs: each of the three, in words, and judged together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.leakage import holm, pair_verdicts, paired_bootstrap, paired_test
from bl_neuro.leakage.comparison import PairVerdict

RNG = np.random.default_rng(0)
BASE = RNG.normal(0.8, 0.02, (12, 20))
FAR, NEAR = BASE - 0.2 + RNG.normal(0, 0.02, (12, 20)), BASE + RNG.normal(0, 0.02, (12, 20))
SMALL = BASE - 0.03 + RNG.normal(0, 0.02, (12, 20))
NOISY = BASE + RNG.normal(0.02, 0.1, (12, 1))


def verdict_on(first: Any, second: Any, margin: float = 0.05) -> PairVerdict:
    return pair_verdicts({"pair": (first, second)}, margin, resamples=200)["pair"]


def test_it_differs() -> None:
    comparison = verdict_on(BASE, FAR)
    assert (comparison.verdict, comparison.found, comparison.seeds_needed) == ("differs", True, None)
    assert comparison.difference == paired_test(BASE, FAR, 0.05).difference
    assert comparison.bootstrap == paired_bootstrap(BASE, FAR, 200)
    assert comparison.sentence.startswith("differs: +20.")
    assert comparison.standardized is not None
    means = (BASE - FAR).mean(axis=1)
    assert comparison.standardized == pytest.approx(means.mean() / means.std(ddof=1))


def test_it_is_equivalent() -> None:
    comparison = verdict_on(BASE, NEAR)
    assert (comparison.verdict, comparison.found, comparison.seeds_needed) == ("equivalent", False, None)
    assert comparison.sentence.startswith("equivalent within 5 points: ")


def test_a_difference_within_the_margin_is_equivalent_and_said() -> None:
    comparison = verdict_on(BASE, SMALL)
    assert (comparison.verdict, comparison.found) == ("equivalent", True)
    assert comparison.sentence.endswith("a difference, but a small one")
    assert verdict_on(BASE, SMALL, margin=0.01).verdict == "differs"


def test_it_is_inconclusive_and_says_what_it_needs() -> None:
    comparison = verdict_on(BASE, NOISY)
    assert comparison.verdict == "inconclusive"
    assert comparison.seeds_needed is not None
    assert comparison.seeds_needed > 12
    assert comparison.sentence.endswith(f"margin 5 points; needs about {comparison.seeds_needed} seeds")


def test_with_so_many_seeds_there_is_a_verdict() -> None:
    """The number of seeds that an inconclusive run names gives a verdict in four of five audits."""
    rng = np.random.default_rng(3)
    comparison = verdict_on(rng.normal(0.03, 0.1, (12, 1)), np.zeros((12, 1)))
    assert comparison.verdict == "inconclusive"
    assert comparison.seeds_needed is not None
    spread = comparison.difference.value / (comparison.standardized or 1)
    settled = []
    for _ in range(300):
        test = paired_test(
            rng.normal(comparison.difference.value, spread, (comparison.seeds_needed, 1)),
            np.zeros((comparison.seeds_needed, 1)),
            0.05,
        )
        settled.append(min(test.p, test.p_equivalent) < 0.05)
    assert np.mean(settled) >= 0.74


HITS = (BASE > 0.8).astype(float)


@pytest.mark.parametrize("seeds", [1, 2, 12])
def test_agreement_of_all_inversions_is_no_proof_of_equality(seeds: int) -> None:
    comparison = verdict_on(HITS[:seeds], HITS[:seeds], margin=0.1)
    assert (comparison.verdict, comparison.identical, comparison.found) == ("inconclusive", True, False)
    assert comparison.difference.low < -0.1
    assert comparison.difference.high > 0.1
    assert comparison.bootstrap == comparison.difference
    assert comparison.seeds_needed == 29
    count = "1 seed" if seeds == 1 else f"{seeds} seeds"
    assert comparison.sentence == (
        f"inconclusive: all {20 * seeds} inversions of {count} score the same; needs about 29 seeds to show "
        "equality within 10 points"
    )


def test_as_many_seeds_as_it_needs_show_equality() -> None:
    hits = np.ones((29, 3))
    assert verdict_on(hits[:28], hits[:28], margin=0.1).verdict == "inconclusive"
    comparison = verdict_on(hits, hits, margin=0.1)
    assert comparison.verdict == "equivalent"
    assert comparison.sentence == "equivalent within 10 points: all 87 inversions of 29 seeds score the same"


@pytest.mark.parametrize("seeds", [2, 12])
def test_sides_that_compute_the_same_are_equal_exactly(seeds: int) -> None:
    pairs = {"same": (HITS[:seeds], HITS[:seeds]), "apart": (HITS[:seeds], 1 - HITS[:seeds])}
    verdicts = pair_verdicts(pairs, 0.05, resamples=50, same_computation=["same", "apart"])
    same = verdicts["same"]
    assert (same.verdict, same.identical, same.adjusted_p_equivalent) == ("equivalent", True, 0.0)
    assert (same.difference.low, same.difference.high, same.bootstrap.high, same.standardized) == (0.0, 0.0, 0.0, None)
    assert same.sentence.startswith(f"equivalent: all {20 * seeds} inversions of {seeds} seeds")
    assert not verdicts["apart"].identical


def test_one_seed_is_never_enough() -> None:
    comparison = verdict_on([[1.0] * 10], [[0.0] * 10])
    assert (comparison.verdict, comparison.seeds_needed) == ("inconclusive", 12)
    assert "one seed" in comparison.sentence


def test_few_seeds_need_at_least_twelve() -> None:
    """Two seeds barely show the spread between seeds: the number that it would give is a floor's."""
    comparison = verdict_on([[0.1] * 10] * 2, [[0.0] * 10] * 2)
    assert (comparison.verdict, comparison.seeds_needed) == ("inconclusive", 12)


def test_pairs_are_judged_together() -> None:
    pairs = {"far": (BASE, FAR), "noisy": (BASE, NOISY), "small": (BASE, SMALL), "same": (BASE, BASE)}
    verdicts = pair_verdicts(pairs, 0.05, resamples=50, same_computation=["same"])
    tests = [paired_test(*pairs[name], 0.05) for name in ("far", "noisy", "small")]
    assert [verdicts[name].adjusted_p for name in ("far", "noisy", "small")] == holm(
        [test.p for test in tests]
    ).tolist()
    adjusted = [verdicts[name].adjusted_p_equivalent for name in ("far", "noisy", "small")]
    assert adjusted == holm([test.p_equivalent for test in tests]).tolist()
    assert (verdicts["same"].adjusted_p, verdicts["same"].adjusted_p_equivalent) == (1.0, 0.0)


def test_refuses_empty_results() -> None:
    with pytest.raises(InputError, match="pairs: expected at least one"):
        pair_verdicts({}, 0.05)
    with pytest.raises(InputError, match="margin"):
        verdict_on(BASE, NEAR, margin=0.0)
