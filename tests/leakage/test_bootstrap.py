"""Bootstrap over target seeds: against SciPy, against the variance theory gives, and by its coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm
from scipy.stats import t as student

from bl_neuro import InputError
from bl_neuro.leakage import bootstrap as module
from bl_neuro.leakage import (
    hit_bootstrap,
    mean_interval,
    paired_bootstrap,
    proportion_interval,
    seed_band,
    seed_bootstrap,
    spike_density,
)
from bl_neuro.leakage.bootstrap import bootstrap_means

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(0.5 + 0.1 * place, 0.2, size) for place, size in enumerate((20, 5, 40, 1))]


def test_one_value_a_seed_is_scipys_percentile_bootstrap() -> None:
    values = RNG.random(12)
    estimate = seed_bootstrap([[value] for value in values], 40_000, seed=0)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=40_000, method="percentile", random_state=np.random.default_rng(0)
    )
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(theirs.confidence_interval.low, abs=0.003)
    assert estimate.high == pytest.approx(theirs.confidence_interval.high, abs=0.003)


def test_one_seed_is_scipys_bootstrap_of_its_inversions() -> None:
    estimate = seed_bootstrap([ROWS[2]], 40_000)
    theirs = bootstrap(
        (ROWS[2],), np.mean, n_resamples=40_000, method="percentile", random_state=np.random.default_rng(0)
    )
    assert (estimate.low, estimate.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.003)
    assert (estimate.seeds, estimate.n) == (1, 40)


def test_every_seed_weighs_the_same() -> None:
    estimate = seed_bootstrap(ROWS, 100)
    assert estimate.value == pytest.approx(np.mean([row.mean() for row in ROWS]))
    assert (estimate.seeds, estimate.n) == (4, 66)
    assert estimate.low < estimate.value < estimate.high


def test_resampled_means_have_the_variance_of_two_stages() -> None:
    means = bootstrap_means(ROWS, 200_000, seed=0)
    within = np.mean([row.var() / len(row) for row in ROWS])  # of the mean of a seed that was drawn
    between = np.var([row.mean() for row in ROWS])
    assert means.mean() == pytest.approx(np.mean([row.mean() for row in ROWS]), abs=1e-3)
    assert means.var() == pytest.approx((between + within) / len(ROWS), rel=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert seed_bootstrap(ROWS, 500, seed=3) == seed_bootstrap(ROWS, 500, seed=3)
    assert seed_bootstrap(ROWS, 500, seed=3) != seed_bootstrap(ROWS, 500, seed=4)


def test_memory_is_bounded_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seed_bootstrap(ROWS, 20_000)
    monkeypatch.setattr(module, "MAX_VALUES_AT_ONCE", 5_000)
    pieces = seed_bootstrap(ROWS, 20_000)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.01)
    assert len(bootstrap_means(ROWS, 777, 0)) == 777


@pytest.mark.parametrize(("seeds", "inversions", "spread"), [(5, 20, 0.0), (5, 20, 0.05), (12, 40, 0.05)])
def test_the_interval_covers_the_truth(seeds: int, inversions: int, spread: float) -> None:
    rng = np.random.default_rng(1)
    held = []
    for trial in range(200):
        accuracies = np.clip(rng.normal(0.85, spread, seeds), 0, 1)
        estimate = seed_bootstrap([rng.random(inversions) < accuracy for accuracy in accuracies], 400, trial)
        held.append(estimate.low <= 0.85 <= estimate.high)
    assert 0.91 <= np.mean(held) <= 1.0


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(0, 5))
@settings(max_examples=30)
def test_hits_stay_within_their_range(hits: list[list[bool]], seed: int) -> None:
    estimate = seed_bootstrap(hits, 50, seed)
    assert 0 <= estimate.low <= estimate.high <= 1
    assert min(map(min, hits)) <= estimate.low
    assert estimate.high <= max(map(max, hits)) + 1e-12


def test_hits_that_are_all_alike_have_an_interval_of_some_width() -> None:
    for hit in (0, 1):
        estimate = hit_bootstrap([np.full(20, hit)] * 5)
        assert (estimate.value, estimate.seeds, estimate.n) == (hit, 5, 100)
        assert (estimate.low, estimate.high) == proportion_interval(hit, 100)
    mixed: list[list[int]] = [[True, False, True], [1, 1, 0]]
    assert hit_bootstrap(mixed, 100, 3) == seed_bootstrap(mixed, 100, 3)


@pytest.mark.parametrize("sizes", [(40, 40, 40, 40), (10, 10, 10), (20, 5, 40), (7, 11, 13), (1,)])
@pytest.mark.parametrize("low", [0, -1])
def test_means_of_hits_are_exact(sizes: tuple[int, ...], low: int) -> None:
    """A whole number over a whole number, so that no processor gives another last bit. low: -1 for differences."""
    rng = np.random.default_rng(3)
    whole = math.lcm(*sizes) * len(sizes)
    means = bootstrap_means([rng.integers(low, 2, size) for size in sizes], 2_000, seed=0)
    assert (means == np.rint(means * whole) / whole).all()


def test_means_over_sizes_without_a_small_common_multiple() -> None:
    sizes = (997, 991, 983, 977, 971, 967)
    means = bootstrap_means([np.ones(size) for size in sizes], 20, seed=0)
    assert means == pytest.approx(np.ones(20))


def test_pairs_share_what_varies_over_seeds() -> None:
    rng = np.random.default_rng(2)
    first = [level + rng.normal(0, 0.01, 20) for level in (0.2, 0.5, 0.8, 0.9)]
    second = [row - 0.05 for row in first]
    estimate = paired_bootstrap(first, second)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.05, 0.05, 0.05))
    apart = seed_bootstrap(first).high - seed_bootstrap(first).low
    assert apart > 0.3


def test_pairs_are_the_bootstrap_of_differences() -> None:
    other = [row * RNG.random(len(row)) for row in ROWS]
    assert paired_bootstrap(ROWS, other, 300, 1) == seed_bootstrap([a - b for a, b in zip(ROWS, other)], 300, 1)


def test_hits_are_paired_as_numbers() -> None:
    assert paired_bootstrap([np.array([True, False])], [np.array([True, True])], 50).value == -0.5


def test_a_band_is_an_interval_at_each_point() -> None:
    curves = [np.stack([row, row**2, np.ones_like(row)], axis=1) for row in ROWS]
    band = seed_band(curves, 800, seed=5)
    for place in range(3):
        alone = seed_bootstrap([curve[:, place] for curve in curves], 800, seed=5)
        assert (band.value[place], band.low[place], band.high[place]) == pytest.approx(
            (alone.value, alone.low, alone.high)
        )
    assert (band.seeds, band.n) == (4, 66)


@pytest.mark.parametrize(
    ("measure", "values", "message"),
    [
        (seed_bootstrap, [], "expected an array for each target seed, found none"),
        (seed_bootstrap, [[1.0], []], r"values of seed 1: expected \(n,\)"),
        (hit_bootstrap, [[1.0, 0.5]], "hits: expected 0 or 1 each, found 0.5"),
        (seed_bootstrap, [[[1.0]]], r"values of seed 0: expected \(n,\)"),
        (seed_bootstrap, [[1.0], [np.nan]], "values of seed 1: expected numbers, found NaN"),
        (seed_band, [[1.0]], r"values of seed 0: expected \(n, G\)"),
        (seed_band, [[[1.0, 2.0]], [[1.0]]], "values of seed 1: expected"),
    ],
)
def test_refuses(measure: Callable[[object], object], values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure(values)


def test_refuses_invalid_pairs() -> None:
    with pytest.raises(InputError, match="second: expected 1 seeds like the first, found 2"):
        paired_bootstrap([[1.0]], [[1.0], [2.0]])
    with pytest.raises(InputError, match=r"second, seed 0: expected \(1,\) like the first, found \(2,\)"):
        paired_bootstrap([[1.0]], [[1.0, 2.0]])
    with pytest.raises(InputError, match="resamples: expected a whole number of at least 1"):
        seed_bootstrap([[1.0]], 0)


@given(st.integers(1, 200), st.data())
def test_proportions_have_wilsons_interval(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    p, z = hits / count, norm.ppf(0.975)
    middle = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    low, high = proportion_interval(p, count)
    assert low == pytest.approx(max(middle - half, 0), abs=1e-9)
    assert high == pytest.approx(min(middle + half, 1), abs=1e-9)
    assert 0 <= low <= p <= high <= 1


def test_more_inversions_narrow_it() -> None:
    assert proportion_interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert np.ptp(proportion_interval(0.9, 1000)) < np.ptp(proportion_interval(0.9, 100)) / 3


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30).map(np.array))
def test_means_have_students_interval(values: np.ndarray) -> None:
    low, high = mean_interval(values)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=1e-9)
    assert high == pytest.approx(values.mean() + half, abs=1e-9)


def test_one_value_is_its_own_interval() -> None:
    assert mean_interval(np.array([0.3])) == (0.3, 0.3)


def test_density_is_the_fraction_of_bins_with_a_spike() -> None:
    spikes = np.zeros((4, 2, 5), np.uint8)
    assert spike_density(spikes) == 0.0
    spikes[0] = 1
    assert spike_density(spikes) == 0.25
    assert spike_density(np.ones_like(spikes)) == 1.0


def test_an_interval_refuses() -> None:
    with pytest.raises(InputError, match="count: expected a whole number of at least 1"):
        proportion_interval(0.5, 0)
    with pytest.raises(InputError, match=r"fraction: expected 0\.\.1"):
        proportion_interval(1.5, 10)
    with pytest.raises(InputError, match="values: expected"):
        mean_interval(np.array([]))
    with pytest.raises(InputError, match="at least one bin"):
        spike_density(np.zeros((0, 3)))
