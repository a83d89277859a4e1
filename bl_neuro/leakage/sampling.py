"""Variation of the measures of inversions over spikes sampled from their rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, labels_of, positive
from bl_neuro.leakage.judgement import attack_accuracy, confidence, differential_accuracy, top_accuracy
from bl_neuro.seeding import stream

MAX_VALUES_AT_ONCE = 2**22
"""Number of values drawn at once: 32 MiB of float64."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (ddof 1; 0 for one draw) of a measure over the draws."""

    mean: float
    sd: float


@dataclass(frozen=True)
class SamplingSpread:
    """Measures of samples drawn from rates. differential_accuracy: None with fewer than two classes."""

    draws: int
    attack_accuracy: Spread
    top3_accuracy: Spread
    confidence: Spread
    differential_accuracy: Spread | None


def sampling_spread(
    rates: npt.ArrayLike,
    classes: npt.ArrayLike,
    evaluator: Callable[[FloatArray], npt.ArrayLike],
    *,
    draws: int = 1000,
    steps: int = 1,
    seed: int = 0,
) -> SamplingSpread:
    """Draws samples from each inversion's `rates` (K, *shape), 0..1, and evaluates each draw of all K as one attack.

    A sample is the mean of `steps` independent Bernoulli draws, (K, *shape), 0..1; with one step, the spikes
    themselves. For rates that vary over time, `shape` includes the time axis. evaluator: maps samples (n, *shape) to
    probabilities (n, classes); it is called with many samples at once, and memory use does not grow with `draws`. The
    default of 1,000 draws is that of arXiv 2402.00906.

    The result is the variation due to sampling only; for variation over attack seeds and targets see `seed_bootstrap`.
    """
    rate_array = images_of(rates, None, "rates")
    if rate_array.min() < 0 or rate_array.max() > 1:
        raise InputError(f"rates: expected 0..1, found {rate_array.min()}..{rate_array.max()}")
    inverted = labels_of(classes, len(rate_array), "classes")
    total, length, rng = positive(draws, "draws"), positive(steps, "steps"), stream(seed, "sampling spread")
    at_once = max(1, MAX_VALUES_AT_ONCE // rate_array.size)
    measures: list[tuple[float, float, float, float | None]] = []
    for start in range(0, total, at_once):
        count = min(at_once, total - start)
        samples = rng.binomial(length, rate_array, size=(count, *rate_array.shape)) / length
        table = np.asarray(evaluator(samples.reshape(-1, *rate_array.shape[1:])), dtype=np.float64)
        if table.ndim != 2 or len(table) != count * len(inverted):
            raise InputError(
                f"evaluator: expected probabilities ({count * len(inverted)}, classes), found {table.shape}"
            )
        measures += [_measured(probabilities, inverted) for probabilities in table.reshape(count, len(inverted), -1)]
    accuracy, top3, confidences, differential = zip(*measures)
    daa = None if differential[0] is None else _spread(differential)
    return SamplingSpread(total, _spread(accuracy), _spread(top3), _spread(confidences), daa)


def _measured(table: FloatArray, inverted: npt.NDArray[np.int64]) -> tuple[float, float, float, float | None]:
    return (
        attack_accuracy(table, inverted),
        top_accuracy(table, inverted, 3),
        confidence(table, inverted),
        differential_accuracy(table, inverted),
    )


def _spread(values: tuple[float, ...]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
