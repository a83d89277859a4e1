"""Converts values to colours: one channel, two polarities of events, or RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.picture import BLUE, INK, ORANGE
from bl_neuro.errors import InputError

Bytes = npt.NDArray[np.uint8]
CHANNELS = (1, 2, 3)


def colours(values: FloatArray, ink: bool = True) -> Bytes:
    """Values (..., C, H, W) in 0..1 as RGB (..., H, W, 3).

    C = 1: ink on paper, 1 is black; with ink=False 1 is white, as in a photograph. C = 2: events, channel 1 (ON,
    brighter) in blue and channel 0 (OFF, darker) in orange. C = 3: red, green and blue.
    """
    values = np.clip(values, 0.0, 1.0)
    channels = values.shape[-3]
    if channels == 3:
        return _bytes(np.moveaxis(values, -3, -1))
    if channels == 2:
        off, on = (values[..., channel, :, :, None] for channel in (0, 1))
        # Each colour takes its complement away from white, so that both together are dark.
        return _bytes((1 - off * (1 - rgb(ORANGE))) * (1 - on * (1 - rgb(BLUE))))
    if not ink:
        return _bytes(np.repeat(values[..., 0, :, :, None], 3, axis=-1))
    return _bytes(1 - values[..., 0, :, :, None] * (1 - rgb(INK)))


def rgb(colour: str) -> FloatArray:
    """A colour such as "#15181c" as three numbers in 0..1."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def stretched(values: FloatArray) -> FloatArray:
    """Scales each picture (..., C, H, W) to 0..1; constant pictures become 0."""
    axes = (-3, -2, -1)
    low = values.min(axis=axes, keepdims=True)
    span = values.max(axis=axes, keepdims=True) - low
    return np.divide(values - low, span, out=np.zeros_like(values), where=span > 0)


def with_channels(values: npt.NDArray[Any], lead: int, name: str) -> npt.NDArray[Any]:
    """Adds a channel axis to values (*lead axes, H, W); (*lead axes, C, H, W), C of 1 to 3, are unchanged."""
    if values.ndim == lead + 2:
        values = values[(slice(None),) * lead + (None,)]
    if values.ndim != lead + 3 or 0 in values.shape or values.shape[lead] not in CHANNELS:
        before = ", ".join("TK"[-lead:])
        raise InputError(f"{name}: expected ({before}, H, W) or ({before}, C, H, W), C of 1 to 3, found {values.shape}")
    return values


def _bytes(values: npt.NDArray[Any]) -> Bytes:
    return np.asarray(np.rint(255 * values), dtype=np.uint8)
