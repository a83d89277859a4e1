"""Confidence intervals over target seeds, the independent units of an experiment, by a hierarchical bootstrap.

Each resample draws target seeds with replacement and then, within each drawn seed, its inversions with replacement. The
estimate is the mean over seeds of the seeds' means, so every seed has the same weight. Source: Davison and Hinkley
1997, section 3.8; percentile intervals, Efron and Tibshirani 1993, chapter 13.

Means of hits and of differences of hits are bit-identical on every processor, since integers are added, which is exact
in any order, and divided once. Means of other measures may differ in their last bits if terms are added in another
order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import fsum, lcm

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import BySeed, numbers, positive
from bl_neuro.seeding import stream

RESAMPLES = 10_000
MAX_VALUES_AT_ONCE = 2**21
"""Number of values drawn at once: several arrays of 16 MiB in float64."""
MAX_CACHED = 2**24
"""Maximum number of weights cached between calls: 128 MiB of float64."""
MAX_EXACT = 2**50
"""Limit up to which sums of integers are exact in float64, with a margin for values above 1."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% confidence interval over target seeds.

    seeds: number of target seeds. n: number of inversions of all seeds. With one seed the interval covers the
    inversions of this one target only, and does not apply to other targets.
    """

    value: float
    low: float
    high: float
    seeds: int
    n: int


@dataclass(frozen=True, eq=False)
class Band:
    """Means (G,) with pointwise 95% confidence intervals over target seeds; otherwise like `Estimate`."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    seeds: int
    n: int


def seed_bootstrap(values_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean and 95% interval of a measure, given one array (n,) per target seed with a value for each inversion.

    Seeds may have different numbers of inversions. seed: random seed of the resampling. In simulations of hits with 3
    to 25 seeds of 10 to 50 inversions, the interval contained the true value in 94 to 99% of cases (resampling only
    seeds: 69 to 96%). If inversions of a target hardly differ while targets do, coverage is that of resampling seeds:
    with few seeds, also use `mean_interval` of the seeds' means. For hits that are all equal, use `hit_bootstrap`.

    Raises:
        InputError: no seed, a seed without values, or values that are not numbers.
    """
    rows = _rows(values_by_seed, 1)
    means = np.concatenate(list(_resampled(rows, resamples, seed)))
    low, high = _interval(means)
    value = fsum(row.mean() for row in rows) / len(rows)
    return Estimate(value, float(low[0]), float(high[0]), len(rows), sum(map(len, rows)))


def hit_bootstrap(hits_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """`seed_bootstrap` of hits, 0 or 1 each: the attack accuracy with its interval.

    If all values are equal, all resamples are equal and the bootstrap interval would have no width; Wilson's interval
    over the inversions, assumed independent, is then used instead.

    Raises:
        InputError: as `seed_bootstrap`, or a value is neither 0 nor 1.
    """
    estimate = seed_bootstrap(hits_by_seed, resamples, seed)
    values = np.concatenate([numbers(row, "hits").ravel() for row in hits_by_seed])
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"hits: expected 0 or 1 each, found {values[~np.isin(values, (0, 1))][0]:g}")
    if values.min() != values.max():
        return estimate
    return Estimate(estimate.value, *proportion_interval(estimate.value, estimate.n), estimate.seeds, estimate.n)


def paired_bootstrap(
    first_by_seed: BySeed,
    second_by_seed: BySeed,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean and 95% interval of first minus second, for the same inversions of the same target seeds.

    Each is one array (n,) per seed, in the same order; both conditions (substrates or attacks) are fixed throughout.
    An interval that excludes 0 indicates a difference.
    """
    return seed_bootstrap(paired_rows(first_by_seed, second_by_seed), resamples, seed)


def paired_rows(first_by_seed: BySeed, second_by_seed: BySeed) -> list[FloatArray]:
    """First minus second of each seed's inversions, (n,). InputError if they cannot be paired."""
    if len(first_by_seed) != len(second_by_seed):
        raise InputError(f"second: expected {len(first_by_seed)} seeds like the first, found {len(second_by_seed)}")
    differences = []
    for index, (first_values, second_values) in enumerate(zip(first_by_seed, second_by_seed)):
        first_row, second_row = numbers(first_values, "first"), numbers(second_values, "second")
        if first_row.shape != second_row.shape:
            shapes = f"expected {first_row.shape} like the first, found {second_row.shape}"
            raise InputError(f"second, seed {index}: {shapes}")
        differences.append(first_row - second_row)
    return _rows(differences, 1)


def seed_band(values_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Band:
    """Means and 95% intervals along a curve, given one array (n, G) per target seed with a row for each inversion.

    G is the number of points of the curve, the same for all seeds; `held_at` evaluates a course on such a grid.
    """
    rows = _rows(values_by_seed, 2)
    means = np.concatenate(list(_resampled(rows, resamples, seed)))
    low, high = _interval(means)
    return Band(np.mean([row.mean(axis=0) for row in rows], axis=0), low, high, len(rows), sum(map(len, rows)))


def hit_band(hits_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Band:
    """`seed_band` of hits, 0 or 1 each. Where all are equal, Wilson's interval, as in `hit_bootstrap`."""
    band = seed_band(hits_by_seed, resamples, seed)
    values = np.concatenate([numbers(row, "hits") for row in hits_by_seed])
    low, high = band.low.copy(), band.high.copy()
    for point in np.flatnonzero(values.min(axis=0) == values.max(axis=0)):
        low[point], high[point] = proportion_interval(float(values[0, point]), band.n)
    return replace(band, low=low, high=high)


def bootstrap_means(values_by_seed: BySeed, resamples: int, seed: int) -> FloatArray:
    """The resampled means (resamples,) that `seed_bootstrap` uses."""
    return np.concatenate(list(_resampled(_rows(values_by_seed, 1), resamples, seed)))[:, 0]


def _rows(values_by_seed: BySeed, axes: int) -> list[FloatArray]:
    rows = [numbers(values, f"values of seed {index}") for index, values in enumerate(values_by_seed)]
    if not rows:
        raise InputError("values_by_seed: expected an array for each target seed, found none")
    expected = "(n,)" if axes == 1 else "(n, G)"
    for index, row in enumerate(rows):
        if row.ndim != axes or 0 in row.shape or row.shape[1:] != rows[0].shape[1:]:
            raise InputError(f"values of seed {index}: expected {expected} like the first, found {row.shape}")
    return rows


def _resampled(rows: list[FloatArray], resamples: int, seed: int) -> Iterator[FloatArray]:
    values = np.concatenate([row.reshape(len(row), -1) for row in rows])
    sizes, count = tuple(len(row) for row in rows), positive(resamples, "resamples")
    cacheable = len(values) * count <= MAX_CACHED
    for weights in _cached_weights(sizes, count, seed) if cacheable else _weights(sizes, count, seed):
        yield weights @ values / (_unit(sizes) * len(sizes))


def _unit(sizes: Sequence[int]) -> int:
    """The sum of the weights of one drawn seed: a common multiple of all sizes, so that weights are integers.

    1 if that multiple is too large for exact addition.
    """
    common = lcm(*sizes)
    return common if common * len(sizes) <= MAX_EXACT else 1


@lru_cache(maxsize=2)
def _cached_weights(sizes: tuple[int, ...], resamples: int, seed: int) -> tuple[FloatArray, ...]:
    """`_weights`, cached, since an audit resamples hundreds of measures of the same inversions."""
    return tuple(_weights(sizes, resamples, seed))


def _weights(row_sizes: tuple[int, ...], resamples: int, seed: int) -> Iterator[FloatArray]:
    """Weight of each value in each resample, (some, values); rows sum to `_unit` times the number of seeds."""
    sizes, rng = np.array(row_sizes), stream(seed, "seed bootstrap")
    seeds, total, largest = len(sizes), int(sizes.sum()), int(sizes.max())
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    at_once = max(1, MAX_VALUES_AT_ONCE // (seeds * largest + total))
    unit = _unit(row_sizes)
    for begin in range(0, resamples, at_once):
        count = min(at_once, resamples - begin)
        chosen = rng.integers(0, seeds, (count, seeds))
        size = sizes[chosen][:, :, None]
        drawn = (rng.random((count, seeds, largest)) * size).astype(np.int64)
        place = np.arange(count)[:, None, None] * total + starts[chosen][:, :, None] + drawn
        weight = np.where(np.arange(largest) < size, unit / size, 0.0)
        yield np.bincount(place.ravel(), weight.ravel(), count * total).reshape(count, total).astype(np.float64)


def _interval(means: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


LEVEL = 0.95


def proportion_interval(fraction: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a fraction observed in `count` trials, 0..1. Source: Wilson 1927, as in SciPy."""
    from scipy.stats import binomtest

    trials = positive(count, "count")
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction: expected 0..1, found {fraction}")
    interval = binomtest(round(fraction * trials), trials).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Student's t interval of the mean of `values` (K,); with one value, the value itself."""
    from scipy.stats import sem, t

    array = numbers(values, "values")
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"values: expected (K,) with K of 1 or more, found {array.shape}")
    mean = float(array.mean())
    if len(array) < 2:
        return mean, mean
    half = float(t.ppf((1 + LEVEL) / 2, len(array) - 1) * sem(array))
    return mean - half, mean + half
