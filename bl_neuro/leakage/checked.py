"""Validation of the measures' arguments. Everything that NumPy converts is accepted, including CPU torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.checks import whole_number
from bl_neuro.errors import InputError

HIGHEST_CLASS = 2**31 - 1
BySeed = Sequence[npt.ArrayLike] | npt.NDArray[Any]
"""The values of each seed: an array for each, or a table with a row for each."""


def numbers(values: npt.ArrayLike, name: str) -> FloatArray:
    """`values` as finite float64; InputError if that is impossible."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: expected an array of numbers ({error})") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected an array of real numbers, found {array.dtype}")
    result: FloatArray = array.astype(np.float64)
    if not np.isfinite(result).all():
        raise InputError(f"{name}: expected numbers, found NaN or infinity")
    return result


def whole_numbers(values: npt.ArrayLike, shape: tuple[int, ...], highest: int, name: str) -> IntArray:
    """`values` as int64 of `shape`, each in 0..highest; InputError if that is impossible."""
    array = np.asarray(values)
    if array.shape != shape or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"{name}: expected whole numbers of shape {shape}, found {array.dtype} of {array.shape}")
    if array.size and (array.min() < 0 or array.max() > highest):
        raise InputError(f"{name}: expected 0..{highest}, found {array.min()}..{array.max()}")
    return array.astype(np.int64)


def labels_of(labels: npt.ArrayLike, count: int, name: str) -> IntArray:
    """Class numbers (count,) of at least 0, validated."""
    return whole_numbers(labels, (count,), HIGHEST_CLASS, name)


def judged(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """An evaluator's probabilities (K, classes) and the class of each inversion (K,), validated."""
    table = numbers(probabilities, "probabilities")
    count = len(np.atleast_1d(np.asarray(classes)))
    if table.ndim != 2 or len(table) != count or 0 in table.shape:
        raise InputError(f"probabilities: expected ({count}, classes), found {table.shape}")
    return table, whole_numbers(classes, (count,), table.shape[1] - 1, "classes")


def images_of(images: npt.ArrayLike, shape: tuple[int, ...] | None, name: str) -> FloatArray:
    """Images (K, *shape), at least one, validated. shape: None for any."""
    array = numbers(images, name)
    if array.ndim < 2 or 0 in array.shape or (shape is not None and array.shape[1:] != shape):
        expected = "..." if shape is None else ", ".join(map(str, shape))
        raise InputError(f"{name}: expected (K, {expected}) with K of 1 or more, found {array.shape}")
    return array


def positive(value: Any, name: str) -> int:
    """`value` as a whole number of at least 1."""
    number = whole_number(value)
    if number is None or number < 1:
        raise InputError(f"{name}: expected a whole number of at least 1, found {value!r}")
    return number
