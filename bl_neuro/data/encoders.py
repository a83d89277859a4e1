"""From images to spikes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import SpikeArray
from bl_neuro.errors import InputError


def rate_encode(images: npt.NDArray[np.float64], steps: int, rng: np.random.Generator) -> SpikeArray:
    """Rate code: every pixel (B, ...) in 0..1 spikes in each of `steps` steps with its value as probability.

    Returns spikes (T, B, ...), uint8.
    """
    if images.size and not (np.min(images) >= 0 and np.max(images) <= 1):
        raise InputError(f"images: expected values in 0..1, found {np.min(images)}..{np.max(images)}")
    return (rng.random((steps, *images.shape)) < images).astype(np.uint8)
