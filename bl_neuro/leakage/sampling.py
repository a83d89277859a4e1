"""How much the measures of an inversion vary over spikes drawn from its rates."""

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

MOST_VALUES = 2**22
"""Values drawn at once: 32 MiB of float64."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (ddof 1; 0 with one draw) of a measure over the draws."""

    mean: float
    sd: float


@dataclass(frozen=True)
class SamplingSpread:
    """The evaluator's verdict on samples drawn from rates. differential_accuracy: None with fewer than two classes."""

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
    """Draws samples of each inversion's `rates` (K, *shape), 0..1, and judges each draw of all K as one attack.

    A sample is the mean of `steps` independent Bernoulli draws, (K, *shape), 0..1; with 1, the spikes themselves.
    Rates that differ in time have time within `shape`. evaluator: samples (n, *shape) to probabilities (n, classes).
    It is called with many at once; memory does not grow with `draws`. 1,000 draws are the authors' (arXiv 2402.00906).

    It is the spread of sampling alone: other attack seeds and other targets spread further, see `seed_bootstrap`.
    """
    held = images_of(rates, None, "rates")
    if held.min() < 0 or held.max() > 1:
        raise InputError(f"rates: expected 0..1, found {held.min()}..{held.max()}")
    own = labels_of(classes, len(held), "classes")
    total, length, rng = positive(draws, "draws"), positive(steps, "steps"), stream(seed, "sampling spread")
    at_once = max(1, MOST_VALUES // held.size)
    found: list[tuple[float, float, float, float | None]] = []
    for start in range(0, total, at_once):
        count = min(at_once, total - start)
        samples = rng.binomial(length, held, size=(count, *held.shape)) / length
        table = np.asarray(evaluator(samples.reshape(-1, *held.shape[1:])), dtype=np.float64)
        if table.ndim != 2 or len(table) != count * len(own):
            raise InputError(f"evaluator: expected probabilities ({count * len(own)}, classes), found {table.shape}")
        found += [_measured(each, own) for each in table.reshape(count, len(own), -1)]
    accuracy, top3, sure, differential = zip(*found)
    daa = None if differential[0] is None else _spread(differential)
    return SamplingSpread(total, _spread(accuracy), _spread(top3), _spread(sure), daa)


def _measured(table: FloatArray, own: npt.NDArray[np.int64]) -> tuple[float, float, float, float | None]:
    return (
        attack_accuracy(table, own),
        top_accuracy(table, own, 3),
        confidence(table, own),
        differential_accuracy(table, own),
    )


def _spread(values: tuple[float, ...]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
