"""Training images that resemble inversions, for evaluators."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
SHIFT = 14
"""Number of pixels of a side per pixel of maximum shift; the maximum shift is at least one pixel."""


def seen_as_inversions(images: npt.NDArray[Any], steps: int, rng: np.random.Generator) -> Images:
    """Images (B, C, H, W) in 0..1, with random shift, background, contrast and rate-code noise.

    steps: number of time steps of that rate code. The mean of the draws is approximated as normal, clipped to 0..1 and
    rounded to multiples of 1/steps.
    """
    moved = shifted(images.astype(np.float32), _most(images), rng)
    per_image = (len(images), 1, 1, 1)
    ceiling = rng.uniform(0.6, 1.0, size=per_image).astype(np.float32)
    floor = rng.uniform(0.0, 0.2, size=per_image).astype(np.float32)
    rates = floor + (ceiling - floor) * moved
    drawn = rates + np.sqrt(rates * (1 - rates) / np.float32(steps)) * rng.standard_normal(rates.shape, np.float32)
    return np.asarray(np.rint(np.clip(drawn, 0, 1) * np.float32(steps)) / np.float32(steps))


def events_seen_as_inversions(spikes: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Spikes (T, B, C, H, W) of events, shifted, with up to 30% dropped and up to 2% added."""
    moved = shifted(spikes, _most(spikes), rng)
    per_image = (1, spikes.shape[1], 1, 1, 1)
    missing = rng.uniform(0.0, 0.3, size=per_image).astype(np.float32)
    added = rng.uniform(0.0, 0.02, size=per_image).astype(np.float32)
    chance = rng.random(spikes.shape, dtype=np.float32)
    return np.asarray(np.where(moved > 0, chance >= missing, chance < added).astype(np.uint8))


def shifted(images: npt.NDArray[Any], most: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Images (..., H, W), shifted by the same random whole pixels, up to `most` in each direction, padded with 0."""
    moved = np.zeros_like(images)
    height, width = images.shape[-2:]
    rows, columns = (int(shift) for shift in rng.integers(-most, most + 1, size=2))
    moved[..., max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = images[
        ..., max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    return moved


def _most(images: npt.NDArray[Any]) -> int:
    return max(1, min(images.shape[-2:]) // SHIFT)
