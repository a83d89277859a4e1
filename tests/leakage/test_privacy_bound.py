"""The lower bound on epsilon against exact binomial tails, and by what it must not claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from bl_neuro import InputError
from bl_neuro.leakage.privacy_bound import epsilon_bound, epsilon_of_scores


@settings(max_examples=20)
@given(st.integers(1, 200), st.data())
def test_at_the_bound_so_many_right_guesses_have_a_probability_of_5_percent(guesses: int, data: Any) -> None:
    right = data.draw(st.integers(0, guesses))
    epsilon = epsilon_bound(right, guesses)
    probability = binom.sf(right - 1, guesses, np.exp(epsilon) / (1 + np.exp(epsilon)))
    if epsilon > 0:
        assert probability == pytest.approx(0.05)
    else:
        assert probability >= 0.05 - 1e-9


def test_it_is_the_bound_of_clopper_and_pearson() -> None:
    low = binomtest(90, 100, alternative="greater").proportion_ci(0.95).low
    assert epsilon_bound(90, 100) == pytest.approx(np.log(low / (1 - low)))
    assert epsilon_bound(100, 100) == pytest.approx(np.log(0.05**0.01 / (1 - 0.05**0.01)))


def test_more_right_guesses_more_confidence_and_more_guesses() -> None:
    bounds = [epsilon_bound(right, 50) for right in range(51)]
    assert bounds == sorted(bounds)
    assert (bounds[0], bounds[25]) == (0.0, 0.0)
    assert epsilon_bound(45, 50, 0.99) < epsilon_bound(45, 50, 0.9)
    assert epsilon_bound(450, 500) > epsilon_bound(45, 50)


@pytest.mark.parametrize(
    ("right", "guesses", "confidence"), [(11, 10, 0.95), (-1, 10, 0.95), (5, 10, 1.0), (5, 10, 0.0), (0, 0, 0.95)]
)
def test_what_cannot_be_is_refused(right: int, guesses: int, confidence: float) -> None:
    with pytest.raises(InputError, match="expected"):
        epsilon_bound(right, guesses, confidence)


def test_the_highest_scores_are_guessed_members_and_the_lowest_not() -> None:
    scores, members = np.arange(40.0), np.arange(40) >= 20
    assert epsilon_of_scores(scores, members) == pytest.approx(epsilon_bound(4, 4))
    assert epsilon_of_scores(scores, members, 0.25) == pytest.approx(epsilon_bound(20, 20))
    assert epsilon_of_scores(-scores, members) == 0.0
    members[-1] = False
    assert epsilon_of_scores(scores, members, 0.25) == pytest.approx(epsilon_bound(19, 20))
    members[15] = True  # in the middle, where nothing is guessed
    assert epsilon_of_scores(scores, members, 0.25) == pytest.approx(epsilon_bound(19, 20))


def test_guesses_of_nothing_seldom_claim_anything() -> None:
    rng = np.random.default_rng(0)
    claims = [epsilon_of_scores(rng.random(200), rng.random(200) < 0.5, 0.25) > 0 for _ in range(1000)]
    assert binom.sf(58, 100, 0.5) == pytest.approx(0.0443, abs=1e-4)  # 59 of 100 right guesses are the fewest to claim
    assert (epsilon_bound(58, 100) > 0, epsilon_bound(59, 100) > 0) == (False, True)
    assert np.mean(claims) == pytest.approx(0.0443, abs=0.02)


def test_ties_are_guessed_in_order() -> None:
    members = np.array([True, True, False, False])
    assert epsilon_of_scores(np.zeros(4), members, 0.5) == pytest.approx(epsilon_bound(4, 4))
    assert epsilon_of_scores(np.zeros(4), ~members, 0.5) == 0.0
