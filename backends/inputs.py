"""Checks the inputs of targets, and converts them to tensors that a substrate computes with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from bl_neuro.errors import InputError
from bl_neuro.network import Network

bool(torch.zeros(1) != 0)  # torch's first comparison with a number deadlocks where two threads make it at once

USUAL_DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32,
    torch.float64,
)  # fmt: skip
"""Dtypes of inputs that NumPy has and torch computes with."""
CONVERTED_DTYPES = (
    torch.bfloat16, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz, torch.uint16,
    torch.uint32, torch.uint64,
)  # fmt: skip
"""Other dtypes of inputs, which are converted to float32."""


class Accepted(NamedTuple):
    """Input that `checker`, a target, has checked, so that it does not check it again. Made by `Target.accept`.

    spikes: (T, B, *input_shape), with its gradient. packed: the same in the form in which the substrate
    computes, if it has one of its own.
    """

    spikes: Tensor
    packed: Any = None
    checker: object = None

    @property
    def batch(self) -> int:
        """Number of samples."""
        return self.spikes.shape[1]


def checked_input(x: Any, network: Network) -> Tensor:
    """Checks `x` and returns it as a tensor (T, B, *input_shape), with its gradient.

    Values must be 0 and 1, or finite real numbers if the network takes input currents. A constant frame that is
    expanded over time (stride 0) is not copied. `CONVERTED_DTYPES` become float32.

    Raises:
        InputError: wrong shape, dtype or values.
    """
    tensor = shaped_input(x, network)
    need_valid_values(tensor, network)
    return tensor


def shaped_input(x: Any, network: Network) -> Tensor:
    """Like `checked_input`, without a check of the values."""
    tensor = real_tensor(x)
    expected = ("T", "B", *network.input_shape)
    if tensor.dim() != len(expected) or tuple(tensor.shape[2:]) != network.input_shape:
        raise InputError(f"spikes: expected shape ({', '.join(map(str, expected))}), found {tuple(tensor.shape)}")
    if tensor.shape[0] < 1 or tensor.shape[1] < 1:
        raise InputError(f"spikes: expected at least one step and one sample, found shape {tuple(tensor.shape)}")
    return usual_dtype(tensor)


def need_valid_values(tensor: Tensor, network: Network) -> None:
    """Raises InputError unless all values are 0 or 1, or finite if the network takes input currents."""
    values = tensor.detach()[:1] if is_held(tensor) else tensor.detach()
    if network.input_kind == "current":
        if not bool(values.isfinite().all()):
            raise InputError("current: expected finite values, found NaN or infinity")
    elif tensor.dtype == torch.uint8 and bool(values.max() <= 1):
        return  # the common case, in one pass
    elif tensor.dtype != torch.bool:
        wrong = (values != 0) & (values != 1)
        if bool(wrong.any()):
            where = tuple(int(i) for i in wrong.nonzero()[0])
            raise InputError(f"spikes: expected only 0 and 1, found {values[where].item()} at index {where}")


def real_tensor(x: Any) -> Tensor:
    """`x`, such as an array or a list, as a plain tensor of real values in memory, with its gradient.

    Raises:
        InputError: it is no such tensor, has no real values, or carries a forward-mode derivative.
    """
    try:
        # copied: torch takes no negative strides, and warns of arrays that cannot be written
        array = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, order="C"))
        if array.is_inference() and array.requires_grad and torch.is_grad_enabled():
            array = array.clone()  # torch does not differentiate at a tensor made in inference mode
        # torch hands every weight to a subclass of Tensor that asks: what comes in is made a plain tensor
        tensor = array.as_subclass(Tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"spikes: expected a tensor or an array of 0/1, found {type(x).__name__} ({error})") from error
    if tensor.layout != torch.strided or tensor.dtype not in (*USUAL_DTYPES, *CONVERTED_DTYPES):
        raise InputError(f"spikes: expected bool, integer or float values, found {tensor.dtype}, {tensor.layout}")
    need_no_forward_derivative(tensor)
    if tensor.is_meta or tensor.is_nested:
        kind = "a nested tensor" if tensor.is_nested else "a tensor on device meta"
        raise InputError(f"spikes: expected a tensor with values, found {kind}")
    return tensor


def usual_dtype(tensor: Tensor) -> Tensor:
    """Converts a tensor (T, B, ...) of `CONVERTED_DTYPES` to float32."""
    if tensor.dtype not in CONVERTED_DTYPES:
        return tensor
    return per_frame(lambda frames: frames.to(torch.float32), tensor)


def need_no_forward_derivative(tensor: Tensor, name: str = "spikes", gradient: str = "WhiteBox.gradient") -> None:
    """Raises InputError if a tensor carries a derivative of forward-mode automatic differentiation.

    name: of the tensor, gradient: the method to use instead, for the error message.
    """
    if getattr(forward_ad, "_current_level", 0) < 0 or not tensor.is_floating_point():
        return
    if forward_ad.unpack_dual(tensor).tangent is not None:
        raise InputError(
            f"{name}: expected a tensor without a forward-mode derivative (torch.autograd.forward_ad), which targets "
            f"do not compute; use {gradient}"
        )


def as_float(values: Tensor) -> Tensor:
    """Converts values (T, B, ...) to float32 unless they are float32 or float64. A constant frame is not expanded."""
    exact = values.dtype in (torch.float32, torch.float64)
    return values if exact else per_frame(lambda frames: frames.to(torch.float32), values)


def is_held(values: Tensor) -> bool:
    """Whether `values` (T, ...) are one frame expanded over time, without a gradient that differs between steps."""
    return values.shape[0] > 1 and values.stride(0) == 0 and not values.requires_grad


def per_frame(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Applies `function` to values (T, B, ...); if all steps are the same frame, only once."""
    if not is_held(values):
        return function(values)
    result = function(values[:1])
    return result.expand(values.shape[0], *result.shape[1:])
