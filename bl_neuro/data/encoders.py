"""From images to what a network takes, (T, B, ...): spikes, or currents for a network that has input neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.errors import InputError

Encoder = Callable[[FloatArray, int, np.random.Generator], npt.NDArray[Any]]
"""Takes images (B, ...) in 0..1, the number of steps T and a source of chance; returns (T, B, ...)."""


def rate_encode(images: FloatArray, steps: int, rng: np.random.Generator) -> SpikeArray:
    """Rate code: every pixel (B, ...) in 0..1 spikes in each of `steps` steps with its value as probability.

    Returns spikes (T, B, ...), uint8.
    """
    _need_probabilities(images, steps)
    return (rng.random((steps, *images.shape)) < images).astype(np.uint8)


def held_encode(images: FloatArray, steps: int, rng: np.random.Generator, threshold: float | None = None) -> SpikeArray:
    """One frame held for all `steps` steps: a Bernoulli draw of the pixels, or those above `threshold` in 0..1.

    Returns spikes (T, B, ...), uint8: one frame in memory with stride 0 in time, which backends recognise. Copy it
    before you write to it.
    """
    _need_probabilities(images, steps)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold: expected 0..1, found {threshold}")
    frame = (rng.random(images.shape) < images if threshold is None else images > threshold).astype(np.uint8)
    return _held(frame, steps)


def direct_encode(images: FloatArray, steps: int, rng: np.random.Generator) -> FloatArray:
    """Pixel values (B, ...) as constant currents, for networks with input neurons; no chance is involved.

    Returns float64 (T, B, ...), one frame in memory with stride 0 in time.
    """
    _need_probabilities(images, steps)
    return _held(np.array(images, dtype=np.float64), steps)


ENCODERS: dict[str, Encoder] = {"rate": rate_encode, "held": held_encode, "direct": direct_encode}
"""The encoders by name."""


def find_encoder(encoder: str | Encoder) -> Encoder:
    """The encoder called so; a function is its own.

    Raises:
        InputError: there is none of that name.
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
