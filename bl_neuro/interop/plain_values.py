"""Parameters of foreign models as float64 arrays: every value that is not a plain real number is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError

_NUMBERLESS = "cOSUMm"
"""Kinds of NumPy's types that are not real numbers: complex, objects, texts and times."""
_UNREADABLE = (TypeError, ValueError, RuntimeError, OverflowError, AttributeError)
"""Errors of NumPy and torch when a value cannot be converted to an array."""


def values_of(value: Any, place: str) -> FloatArray:
    """A parameter, tensor, array or number as float64.

    place: name of the value in messages, such as "lif1: threshold".

    Raises:
        NetworkError: the value does not consist of plain real numbers.
    """
    kind = tensor_kind(value) if isinstance(value, Tensor) else ""
    masked = isinstance(value, np.ma.MaskedArray) and bool(np.any(value.mask))
    if kind:
        raise NetworkError([f"{place}: expected real values in a dense tensor, found {kind}"])
    try:
        array = np.asarray(value.detach().cpu().to(torch.float64).numpy() if isinstance(value, Tensor) else value)
        if array.dtype.kind not in _NUMBERLESS and not masked:
            return array.astype(np.float64)
    except _UNREADABLE as error:
        raise NetworkError([f"{place}: expected real numbers, found {type(value).__name__} ({error})"]) from error
    of_type = f" of {array.dtype}" if hasattr(value, "dtype") else ""
    described = "masked values" if masked else f"{type(value).__name__}{of_type}"
    raise NetworkError([f"{place}: expected real numbers, found {described}"])


def tensor_kind(value: Tensor) -> str:
    """What `value` is if it is not a dense tensor of real numbers in memory; "" if it is one."""
    if value.is_quantized:
        return f"a quantized tensor, {value.dtype}; use its dequantize()"
    if value.is_meta:
        return "a tensor on the device 'meta', which has no values; load the weights first"
    if value.is_complex() or value.layout != torch.strided or value.is_nested:
        return f"{value.dtype}, {'nested' if value.is_nested else value.layout}"
    if torch.masked.is_masked_tensor(value):
        return "a MaskedTensor; use its to_tensor(0)"
    return ""
