"""Encoders from images to network inputs (T, B, ...): spikes, or currents for networks with input neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.errors import InputError

Encoder = Callable[[FloatArray, int, np.random.Generator], npt.NDArray[Any]]
"""Function of images (B, ...) in 0..1, the number of steps T and a random generator that returns (T, B, ...)."""


def rate_encode(images: FloatArray, steps: int, rng: np.random.Generator) -> SpikeArray:
    """Rate code: each pixel (B, ...) in 0..1 is the probability of a spike in each of `steps` steps.

    Returns spikes (T, B, ...), uint8.
    """
    _need_probabilities(images, steps)
    return (rng.random((steps, *images.shape)) < images).astype(np.uint8)


def held_encode(images: FloatArray, steps: int, rng: np.random.Generator, threshold: float | None = None) -> SpikeArray:
    """One frame held for all `steps` steps: a Bernoulli sample of the pixels, or pixels above `threshold` in 0..1.

    Returns spikes (T, B, ...), uint8, as one frame with stride 0 in time, which backends process faster. Copy it before
    writing to it.
    """
    _need_probabilities(images, steps)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold: expected 0..1, found {threshold}")
    frame = (rng.random(images.shape) < images if threshold is None else images > threshold).astype(np.uint8)
    return _held(frame, steps)


def direct_encode(images: FloatArray, steps: int, rng: np.random.Generator) -> FloatArray:
    """Pixel values (B, ...) as constant currents, for networks with input neurons. Deterministic.

    Returns float64 (T, B, ...), as one frame with stride 0 in time.
    """
    _need_probabilities(images, steps)
    return _held(np.array(images, dtype=np.float64), steps)


ENCODERS: dict[str, Encoder] = {"rate": rate_encode, "held": held_encode, "direct": direct_encode}
"""The encoders by name."""


def find_encoder(encoder: str | Encoder) -> Encoder:
    """The encoder with this name. A function is returned unchanged.

    Raises:
        InputError: there is no encoder of that name.
    """
    if callable(encoder):
        return encoder
    if encoder not in ENCODERS:
        raise InputError(f"encoder: expected one of {', '.join(ENCODERS)}, found {encoder!r}")
    return ENCODERS[encoder]


def _held(frame: npt.NDArray[Any], steps: int) -> npt.NDArray[Any]:
    # Not broadcast_to, whose result is read-only: torch warns of such arrays.
    return np.lib.stride_tricks.as_strided(frame[None], (steps, *frame.shape), (0, *frame.strides))


def _need_probabilities(images: FloatArray, steps: int) -> None:
    if not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps: expected 1..{MAX_STEPS}, found {steps}")
    if images.size and not (np.min(images) >= 0 and np.max(images) <= 1):
        raise InputError(f"images: expected values in 0..1, found {np.min(images)}..{np.max(images)}")
