"""Intervals over target seeds, the independent units of an experiment, by a hierarchical bootstrap.

One resample draws target seeds with replacement, then, within each seed drawn, its inversions with replacement. The
estimate is the mean over seeds of each seed's mean: every seed weighs the same. Source: Davison and Hinkley 1997,
section 3.8; percentile intervals, Efron and Tibshirani 1993, chapter 13.

Means of hits, and of differences of hits, are the same to the last bit on every processor: whole numbers are added,
which is exact in any order, and divided once. Means of other measures differ in their last bits where their terms are
added in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, lcm

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import BySeed, numbers, positive
from bl_neuro.seeding import stream

RESAMPLES = 10_000
MOST_VALUES = 2**21
"""Values drawn at once: 16 MiB of float64, several times over."""
MOST_KEPT = 2**24
"""Most weights that are kept between calls: 128 MiB of float64."""
MOST_EXACT = 2**50
"""Sums of whole numbers up to here are exact in float64, with room for values of more than 1."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval over target seeds. seeds: targets behind it. n: inversions, over all of them.

    With one seed the interval is over the inversions of that one target, and says nothing about others.
    """

    value: float
    low: float
    high: float
    seeds: int
    n: int


@dataclass(frozen=True, eq=False)
class Band:
    """Means (G,) with their 95% intervals over target seeds, each point by itself; otherwise as `Estimate`."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    seeds: int
    n: int


def seed_bootstrap(values_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean and 95% interval of a measure, given one array a target seed with a value for each inversion, (n,).

    Seeds may hold different numbers of inversions. `seed` is that of the resampling. In simulations of hits, with 3 to
    25 seeds of 10 to 50 inversions, the interval held the truth in 94 to 99% of cases (resampling seeds alone: 69 to
    96%). Where the inversions of a target hardly differ and targets do, it is as narrow as that: take `mean_interval`
    of the seeds' means beside it where there are few; of hits that are all alike, take `hit_bootstrap`.

    Raises:
        InputError: no seed, a seed without values, or values that are no numbers.
    """
    rows = _rows(values_by_seed, 1)
    means = np.concatenate(list(_resampled(rows, resamples, seed)))
    low, high = _interval(means)
    value = fsum(row.mean() for row in rows) / len(rows)
    return Estimate(value, float(low[0]), float(high[0]), len(rows), sum(map(len, rows)))


def hit_bootstrap(hits_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """`seed_bootstrap` of hits, 0 or 1 each: the attack accuracy.

    Where all are hits, or none is, no resample differs, which would make an interval of no width. It is Wilson's over
    the inversions then, and takes them for independent.

    Raises:
        InputError: as `seed_bootstrap`, or a value that is neither 0 nor 1.
    """
    found = seed_bootstrap(hits_by_seed, resamples, seed)
    values = np.concatenate([numbers(row, "hits").ravel() for row in hits_by_seed])
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"hits: expected 0 or 1 each, found {values[~np.isin(values, (0, 1))][0]:g}")
    if values.min() != values.max():
        return found
    return Estimate(found.value, *proportion_interval(found.value, found.n), found.seeds, found.n)


def paired_bootstrap(
    first_by_seed: BySeed,
    second_by_seed: BySeed,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean and 95% interval of first minus second, where both hold the same inversions of the same target seeds.

    One array a seed, (n,), in the same order: what differs between the two, a substrate or an attack, is the same
    throughout. The interval excludes 0 where the two differ.
    """
    return seed_bootstrap(paired_rows(first_by_seed, second_by_seed), resamples, seed)


def paired_rows(first_by_seed: BySeed, second_by_seed: BySeed) -> list[FloatArray]:
    """First minus second of each seed's inversions, (n,), checked. InputError where they do not pair."""
    if len(first_by_seed) != len(second_by_seed):
        raise InputError(f"second: expected {len(first_by_seed)} seeds like the first, found {len(second_by_seed)}")
    differences = []
    for place, (first, second) in enumerate(zip(first_by_seed, second_by_seed)):
        one, other = numbers(first, "first"), numbers(second, "second")
        if one.shape != other.shape:
            raise InputError(f"second, seed {place}: expected {one.shape} like the first, found {other.shape}")
        differences.append(one - other)
    return _rows(differences, 1)


def seed_band(values_by_seed: BySeed, resamples: int = RESAMPLES, seed: int = 0) -> Band:
    """Means and 95% intervals along a curve, given one array a target seed: (n, G), a row for each inversion.

    G is the number of points of the curve, the same for all; `held_at` brings courses there.
    """
    rows = _rows(values_by_seed, 2)
    means = np.concatenate(list(_resampled(rows, resamples, seed)))
    low, high = _interval(means)
    return Band(np.mean([row.mean(axis=0) for row in rows], axis=0), low, high, len(rows), sum(map(len, rows)))


def bootstrap_means(values_by_seed: BySeed, resamples: int, seed: int) -> FloatArray:
    """The resampled means (resamples,) behind `seed_bootstrap`."""
    return np.concatenate(list(_resampled(_rows(values_by_seed, 1), resamples, seed)))[:, 0]


def _rows(values_by_seed: BySeed, axes: int) -> list[FloatArray]:
    rows = [numbers(values, f"values of seed {place}") for place, values in enumerate(values_by_seed)]
    if not rows:
        raise InputError("values_by_seed: expected an array for each target seed, found none")
    wanted = "(n,)" if axes == 1 else "(n, G)"
    for place, row in enumerate(rows):
        if row.ndim != axes or 0 in row.shape or row.shape[1:] != rows[0].shape[1:]:
            raise InputError(f"values of seed {place}: expected {wanted} like the first, found {row.shape}")
    return rows


def _resampled(rows: list[FloatArray], resamples: int, seed: int) -> Iterator[FloatArray]:
    values = np.concatenate([row.reshape(len(row), -1) for row in rows])
    sizes, count = tuple(len(row) for row in rows), positive(resamples, "resamples")
    small = len(values) * count <= MOST_KEPT
    for weights in _kept_weights(sizes, count, seed) if small else _weights(sizes, count, seed):
        yield weights @ values / (_unit(sizes) * len(sizes))


def _unit(sizes: Sequence[int]) -> int:
    """What the weights of one seed that is drawn sum to: a multiple of all sizes, so that weights are whole numbers.

    1 where that would be too large to add exactly.
    """
    common = lcm(*sizes)
    return common if common * len(sizes) <= MOST_EXACT else 1


@lru_cache(maxsize=2)
def _kept_weights(sizes: tuple[int, ...], resamples: int, seed: int) -> tuple[FloatArray, ...]:
    """`_weights`, kept: an audit resamples hundreds of measures of the same inversions."""
    return tuple(_weights(sizes, resamples, seed))


def _weights(row_sizes: tuple[int, ...], resamples: int, seed: int) -> Iterator[FloatArray]:
    """How much each value counts in each resample, (some, values): rows sum to `_unit` times the number of seeds."""
    sizes, rng = np.array(row_sizes), stream(seed, "seed bootstrap")
    seeds, total, largest = len(sizes), int(sizes.sum()), int(sizes.max())
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    at_once = max(1, MOST_VALUES // (seeds * largest + total))
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
    """Student's interval of the mean of `values` (K,); the value itself where there is only one."""
    from scipy.stats import sem, t

    found = numbers(values, "values")
    if found.ndim != 1 or len(found) == 0:
        raise InputError(f"values: expected (K,) with K of 1 or more, found {found.shape}")
    mean = float(found.mean())
    if len(found) < 2:
        return mean, mean
    half = float(t.ppf((1 + LEVEL) / 2, len(found) - 1) * sem(found))
    return mean - half, mean + half
