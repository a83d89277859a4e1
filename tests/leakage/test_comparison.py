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
    found = verdict_on(BASE, FAR)
    assert (found.verdict, found.found, found.seeds_needed) == ("differs", True, None)
    assert found.difference == paired_test(BASE, FAR, 0.05).difference
    assert found.bootstrap == paired_bootstrap(BASE, FAR, 200)
    assert found.sentence.startswith("differs: +20.")
    assert found.standardized is not None
    means = (BASE - FAR).mean(axis=1)
    assert found.standardized == pytest.approx(means.mean() / means.std(ddof=1))


def test_it_is_equivalent() -> None:
    found = verdict_on(BASE, NEAR)
    assert (found.verdict, found.found, found.seeds_needed) == ("equivalent", False, None)
    assert found.sentence.startswith("equivalent within 5 points: ")


def test_a_difference_within_the_margin_is_equivalent_and_said() -> None:
    found = verdict_on(BASE, SMALL)
    assert (found.verdict, found.found) == ("equivalent", True)
    assert found.sentence.endswith("a difference, but a small one")
    assert verdict_on(BASE, SMALL, margin=0.01).verdict == "differs"


def test_it_is_inconclusive_and_says_what_it_needs() -> None:
    found = verdict_on(BASE, NOISY)
    assert found.verdict == "inconclusive"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 12
    assert found.sentence.endswith(f"margin 5 points; needs about {found.seeds_needed} seeds")


def test_with_so_many_seeds_there_is_a_verdict() -> None:
    """The number that an inconclusive run names is enough in four of five, if what it saw is true."""
    rng = np.random.default_rng(3)
    found = verdict_on(rng.normal(0.03, 0.1, (12, 1)), np.zeros((12, 1)))
    assert found.verdict == "inconclusive"
    assert found.seeds_needed is not None
    spread = found.difference.value / (found.standardized or 1)
    settled = []
    for _ in range(300):
        test = paired_test(
            rng.normal(found.difference.value, spread, (found.seeds_needed, 1)), np.zeros((found.seeds_needed, 1)), 0.05
        )
        settled.append(min(test.p, test.p_equivalent) < 0.05)
    assert np.mean(settled) >= 0.74


@pytest.mark.parametrize("seeds", [1, 2])
def test_identical_substrates_are_equivalent_exactly(seeds: int) -> None:
    found = verdict_on(BASE[:seeds], BASE[:seeds])
    assert (found.verdict, found.identical, found.found) == ("equivalent", True, False)
    assert (found.difference.low, found.difference.high, found.standardized) == (0.0, 0.0, None)
    assert found.sentence.startswith(f"equivalent: all {20 * seeds} inversions of {seeds} seed")


def test_one_seed_is_never_enough() -> None:
    found = verdict_on([[1.0] * 10], [[0.0] * 10])
    assert (found.verdict, found.seeds_needed) == ("inconclusive", 12)
    assert "one seed" in found.sentence


def test_two_seeds_give_a_number() -> None:
    found = verdict_on([[0.1] * 10] * 2, [[0.0] * 10] * 2)
    assert found.verdict == "inconclusive"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 2


def test_pairs_are_judged_together() -> None:
    pairs = {"far": (BASE, FAR), "noisy": (BASE, NOISY), "small": (BASE, SMALL), "same": (BASE, BASE)}
    found = pair_verdicts(pairs, 0.05, resamples=50)
    tests = [paired_test(*pairs[name], 0.05) for name in ("far", "noisy", "small")]
    assert [found[name].adjusted_p for name in ("far", "noisy", "small")] == holm([test.p for test in tests]).tolist()
    adjusted = [found[name].adjusted_p_equivalent for name in ("far", "noisy", "small")]
    assert adjusted == holm([test.p_equivalent for test in tests]).tolist()
    assert (found["same"].adjusted_p, found["same"].adjusted_p_equivalent) == (1.0, 0.0)


def test_refuses_nothing() -> None:
    with pytest.raises(InputError, match="pairs: expected at least one"):
        pair_verdicts({}, 0.05)
    with pytest.raises(InputError, match="margin"):
        verdict_on(BASE, NEAR, margin=0.0)
