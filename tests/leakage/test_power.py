"""Power: against statsmodels' noncentral t, simulated equivalence, and limiting cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from bl_neuro import InputError
from bl_neuro.leakage import PowerPlan, hit_spread, observed_plan, seeds_needed

PLAN = PowerPlan(seeds=12, inversions=40, spread=0.04, within=0.45)


@pytest.mark.parametrize("seeds", [2, 5, 12, 25])
@pytest.mark.parametrize("difference", [0.0, 0.02, -0.06, 0.12])
def test_power_is_that_of_the_noncentral_t(seeds: int, difference: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    plan = replace(PLAN, seeds=seeds)
    size = abs(difference) / (plan.error * np.sqrt(seeds))
    theirs = power.TTestPower().power(size, seeds, 0.05) if difference else 0.05
    assert plan.power(difference) == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize(("seeds", "difference"), [(5, 0.0), (12, 0.0), (12, 0.03), (12, 0.05)])
def test_equivalence_power_is_what_simulation_finds(seeds: int, difference: float) -> None:
    plan = replace(PLAN, seeds=seeds)
    rng = np.random.default_rng(0)
    draws = rng.normal(difference, plan.error * np.sqrt(seeds), (40_000, seeds))
    half = t.ppf(0.95, seeds - 1) * draws.std(axis=1, ddof=1) / np.sqrt(seeds)
    within = np.abs(draws.mean(axis=1)) + half < 0.05
    assert plan.equivalence_power(0.05, difference) == pytest.approx(within.mean(), abs=0.01)


def test_at_the_margin_equivalence_errs_at_its_level() -> None:
    assert replace(PLAN, seeds=25, spread=0.001).equivalence_power(0.05, 0.05) == pytest.approx(0.05, abs=2e-3)
    assert PLAN.equivalence_power(0.05, 0.05) <= 0.05


def test_the_error_has_two_parts() -> None:
    assert PLAN.error == pytest.approx(np.sqrt((0.04**2 + 0.45**2 / 40) / 12))


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_smallest_difference_and_margin_have_the_power(power: float) -> None:
    assert PLAN.power(PLAN.smallest_difference(power)) == pytest.approx(power, abs=1e-6)
    assert PLAN.equivalence_power(PLAN.smallest_margin(power)) == pytest.approx(power, abs=1e-6)


def test_more_seeds_inversions_and_fewer_comparisons_find_more() -> None:
    smallest = PLAN.smallest_difference()
    assert replace(PLAN, seeds=25).smallest_difference() < smallest
    assert replace(PLAN, inversions=80).smallest_difference() < smallest
    assert replace(PLAN, comparisons=6).smallest_difference() > smallest
    assert replace(PLAN, comparisons=6).level == pytest.approx(0.05 / 6)


def test_the_plan_that_the_design_asks_for() -> None:
    """Five points with 12 seeds of 40, where the pairs correlate and seeds differ little in their difference."""
    plan = PowerPlan(12, 40, 0.02, hit_spread(0.85, 0.80, 0.5))
    assert plan.smallest_difference() == pytest.approx(0.055, abs=0.005)


def test_without_variance_everything_is_found() -> None:
    plan = PowerPlan(2, 1, 0.0, 0.0)
    assert (plan.power(1e-9), plan.power(0.0)) == (1.0, 0.0)
    assert (plan.equivalence_power(0.05), plan.equivalence_power(0.05, 0.05)) == (1.0, 0.0)
    assert plan.smallest_difference() == plan.smallest_margin() == 0.0


def test_the_spread_of_hits_is_that_of_bernoulli_pairs() -> None:
    rng = np.random.default_rng(0)
    shared = rng.random(200_000)
    first, second = shared < 0.9, shared < 0.7
    correlation = float(np.corrcoef(first, second)[0, 1])
    assert hit_spread(0.9, 0.7, correlation) == pytest.approx(np.std(first * 1.0 - second), abs=2e-3)
    assert hit_spread(0.9, 0.9, 1.0) == 0
    assert hit_spread(1.0, 0.0, 0.0) == 0


def test_a_pilot_shows_what_it_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(0.1, 0.05, (400, 1)) + rng.normal(0, 0.3, (400, 20))
    plan = observed_plan(differences, np.zeros((400, 20)), comparisons=3)
    assert (plan.seeds, plan.inversions, plan.comparisons) == (400, 20, 3)
    assert plan.spread == pytest.approx(0.05, abs=0.01)
    assert plan.within == pytest.approx(0.3, abs=0.01)
    assert observed_plan([[1.0, 0.0], [0.0, 1.0]], np.zeros((2, 2))).spread == 0


@pytest.mark.parametrize(("difference", "margin"), [(0.06, 0.05), (0.0, 0.05), (0.025, 0.05), (0.05, 0.05)])
def test_the_seeds_needed_are_the_fewest(difference: float, margin: float) -> None:
    seeds = seeds_needed(PLAN, difference, margin)
    assert seeds is not None

    def best(seeds: int) -> float:
        plan = replace(PLAN, seeds=seeds)
        return max(plan.power(difference), plan.equivalence_power(margin, difference))

    assert best(seeds) >= 0.8 > best(seeds - 1)


def test_where_no_number_of_seeds_is_enough() -> None:
    assert seeds_needed(replace(PLAN, spread=50.0), 0.0, 0.01) is None
    assert seeds_needed(replace(PLAN, spread=0.0, within=0.0), 0.1, 0.05) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 1}, "seeds: expected at least 2"),
        ({"inversions": 0}, "inversions: expected a whole number of at least 1"),
        ({"spread": -0.1}, "spread: expected 0 or more"),
        ({"within": float("nan")}, "within: expected numbers"),
        ({"comparisons": 0}, "comparisons"),
    ],
)
def test_refuses(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(PLAN, **wrong)


def test_refuses_probabilities_beyond_their_range() -> None:
    with pytest.raises(InputError, match="power: expected between 0 and 1"):
        PLAN.smallest_difference(1.0)
    with pytest.raises(InputError, match="accuracies in"):
        hit_spread(1.2, 0.5, 0.0)
    with pytest.raises(InputError, match="seeds: expected at least 2, found 1"):
        observed_plan([[1.0]], [[0.0]])
