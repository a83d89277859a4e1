"""The advantage over a zero-query baseline: its value, its interval, and how often the interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.leakage import Estimate, advantage, hit_bootstrap


def test_the_interval_is_that_of_newcombe() -> None:
    first, second = Estimate(0.9, 0.8, 0.95, 5, 50), Estimate(0.7, 0.65, 0.82, 10, 100)
    gained = advantage(first, second)
    assert gained.value == pytest.approx(0.2)
    assert gained.low == pytest.approx(0.2 - (0.1**2 + 0.12**2) ** 0.5)
    assert gained.high == pytest.approx(0.2 + (0.05**2 + 0.05**2) ** 0.5)
    assert (gained.seeds, gained.n) == (5, 50)


def test_one_side_without_error_leaves_the_interval_of_the_other() -> None:
    gained = advantage(Estimate(0.9, 0.8, 0.95, 5, 50), Estimate(0.5, 0.5, 0.5, 1, 10))
    assert (gained.low, gained.high) == pytest.approx((0.3, 0.45))


def test_the_ends_stay_possible() -> None:
    gained = advantage(Estimate(1.0, 0.5, 1.0, 1, 4), Estimate(0.0, 0.0, 0.6, 1, 4))
    assert (gained.value, gained.high) == (1.0, 1.0)
    assert advantage(Estimate(0.0, 0.0, 0.9, 1, 4), Estimate(1.0, 0.1, 1.0, 1, 4)).low == -1.0


def test_hits_that_are_all_equal_have_an_interval_with_a_width() -> None:
    gained = advantage(hit_bootstrap([np.ones(10)] * 3), hit_bootstrap([np.ones(10)] * 10))
    assert gained.value == 0.0
    assert gained.low < 0 < gained.high


@pytest.mark.slow
def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    """Targets differ, and renderings differ; 300 audits of 12 targets and 10 renderings, 10 classes each."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        rates = rng.beta(16, 4, 12), rng.beta(7, 3, 10)
        attack, fonts = ([(rng.random(10) < rate).astype(float) for rate in some] for some in rates)
        gained = advantage(hit_bootstrap(attack, 500), hit_bootstrap(fonts, 500))
        covered += gained.low <= 0.8 - 0.7 <= gained.high
    assert 0.91 <= covered / 300 <= 1.0
