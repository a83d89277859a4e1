"""Numbers of a block, each with its range: what does not fit is a problem of the block, and None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.hdf5_access import CheckedGroup
from bl_neuro.layers import Pair, Shape
from bl_neuro.network import MAX_VALUES

Rounding = Callable[[Any], Any]


def bounded(block: CheckedGroup, key: str, values: FloatArray | None, low: int, high: int) -> FloatArray | None:
    """`values` where all of them are in low..high."""
    if values is not None and ((values < low) | (values > high)).any():
        block.complain(f"{key}: expected values in {low}..{high}, found {values.min():g}..{values.max():g}")
        return None
    return values


def whole_array(block: CheckedGroup, key: str) -> FloatArray | None:
    """Whole numbers in the shape they have."""
    values = block.numbers(key)
    if values is not None and (values != np.round(values)).any():
        block.complain(f"{key}: expected whole numbers, found {values[values != np.round(values)][0]:g}")
        return None
    return values


def one_number(block: CheckedGroup, key: str, rounding: Rounding | None = None) -> FloatArray | None:
    """One number, of shape () or (1,): whole, unless it is to be rounded."""
    found = whole_array(block, key) if rounding is None else block.numbers(key)
    if found is not None and found.shape not in ((), (1,)):
        block.complain(f"{key}: expected one number, found shape {found.shape}")
        return None
    return found if found is None or rounding is None else np.asarray(rounding(found), dtype=np.float64)


def shape_of(block: CheckedGroup, key: str) -> Shape | None:
    """Sizes of one to four directions."""
    values = bounded(block, key, whole_array(block, key), 1, MAX_VALUES)
    if values is None:
        return None
    if values.ndim != 1 or values.size > 4:
        block.complain(f"{key}: expected a list of sizes, found shape {values.shape}")
        return None
    return tuple(int(size) for size in values)


def extent_pair(block: CheckedGroup, key: str, positive: bool, most: int) -> Pair | None:
    """One size for both directions, or (height, width)."""
    values = bounded(block, key, whole_array(block, key), int(positive), most)
    if values is None:
        return None
    if values.shape not in ((), (2,)):
        block.complain(f"{key}: expected one number or two, found shape {values.shape}")
        return None
    height, width = np.broadcast_to(values, 2)
    return int(height), int(width)
