"""The neuron: a current-based leaky integrate-and-fire (CUBA-LIF) model in discrete time.

One time step, for current decay `du`, voltage decay `dv` (fractions lost per step) and synaptic input `x`:

    u[t] = (1 - du) u[t-1] + x[t]
    v[t] = (1 - dv) v[t-1] + (u[t] + bias)
    s[t] = v[t] > threshold                      (strict)

and then, depending on `reset`:

    zero               v[t] <- 0 where s[t]      the canonical neuron, and Loihi's
    subtract           v[t] <- v[t] - threshold s[t]
    subtract_delayed   v[t+1] is reduced by threshold where s[t]       snnTorch's default (`reset_delay=True`)

With reset to zero, the voltage must exceed the threshold by more than one part in 10^12: a voltage that equals the
threshold in real numbers does not cause a spike, whatever its rounding error. Otherwise libraries that evaluate the
same step in a different order would disagree when weights lie on a grid.

The current u is never reset. Sources: Davies et al. 2018 (Loihi), snnTorch `Synaptic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError

Reset = Literal["zero", "subtract", "subtract_delayed"]
RESETS: tuple[str, ...] = get_args(Reset)
Number = TypeVar("Number", bound=np.generic)
TIE = 1e-12
"""Relative amount by which a voltage must exceed the threshold: far above rounding errors, far below any effect."""


def frozen_array(value: Any, name: str) -> FloatArray:
    """A read-only float64 copy of an array-like; NetworkError if its values are not finite numbers."""
    try:
        if hasattr(value, "detach"):  # a torch tensor, possibly with a gradient or on a GPU
            value = value.detach().cpu()
        if np.iscomplexobj(value):
            raise TypeError("complex numbers")
        # asarray first, since torch's arrays do not support NumPy 2's copy argument
        array = np.array(np.asarray(value), dtype=np.float64, order="C", copy=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise NetworkError([f"{name}: expected numbers, found {type(value).__name__} ({error})"]) from error
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NetworkError([f"{name}: expected finite numbers, found {array[index]} at index {index}"])
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False, repr=False)
class CubaLIF:
    """CUBA-LIF parameters of one layer, each a scalar or one value per neuron (for images also one per channel).

    threshold: above 0 (0 only in Loihi's arithmetic), in the units of the weighted input. current_decay,
    voltage_decay: 0..1, the fraction lost per time step; 1 means no memory. bias: added to the voltage in every step.
    reset: see the module.

    Raises:
        NetworkError: a parameter is not finite or out of its range; all problems are listed.
    """

    threshold: FloatArray
    current_decay: FloatArray
    voltage_decay: FloatArray
    bias: FloatArray
    reset: Reset

    def __init__(
        self,
        threshold: Any = 1.0,
        current_decay: Any = 1.0,
        voltage_decay: Any = 0.3,
        bias: Any = 0.0,
        reset: Reset = "zero",
    ) -> None:
        problems: list[str] = []
        parameters = {
            "threshold": threshold,
            "current_decay": current_decay,
            "voltage_decay": voltage_decay,
            "bias": bias,
        }
        for name, value in parameters.items():
            try:
                array = frozen_array(value, name)
            except NetworkError as error:
                problems += error.problems
                continue
            problems += _range_problems(name, array)
            object.__setattr__(self, name, array)
        if reset not in RESETS:
            problems.append(f"reset: expected one of {', '.join(RESETS)}, found {reset!r}")
        object.__setattr__(self, "reset", reset)
        if problems:
            raise NetworkError(problems)

    def __repr__(self) -> str:
        texts = {
            name: f"{value.item():g}" if value.size == 1 else f"array{value.shape}"
            for name, value in self.parameters().items()
        }
        return f"CubaLIF({', '.join(f'{name}={value}' for name, value in texts.items())}, reset={self.reset!r})"

    def parameters(self) -> dict[str, FloatArray]:
        """The four numeric parameters by name, in their original shapes (scalar or per neuron)."""
        return {
            "threshold": self.threshold,
            "current_decay": self.current_decay,
            "voltage_decay": self.voltage_decay,
            "bias": self.bias,
        }

    @property
    def firing_threshold(self) -> FloatArray:
        """The value that the voltage is compared with, in the shape of the threshold; see the module on ties."""
        return self.threshold * (1.0 + TIE) if self.reset == "zero" else self.threshold

    def expanded(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Parameter `name` broadcast to the layer's neurons `shape` (a vector of channels counts as (C, 1, 1))."""
        return per_neuron(self.parameters()[name], shape)

    def shape_problems(self, shape: tuple[int, ...]) -> list[str]:
        """All reasons why these parameters do not fit a layer with neurons of `shape`."""
        return shape_problems(self.parameters(), shape)


def shape_problems(parameters: dict[str, FloatArray], shape: tuple[int, ...]) -> list[str]:
    """All reasons why `parameters` of neurons do not fit a layer with neurons of `shape`."""
    problems = []
    for name, array in parameters.items():
        allowed = {(), (1,), shape} | ({(shape[0],), (shape[0], 1, 1)} if len(shape) == 3 else set())
        if array.shape not in allowed:
            problems.append(f"{name}: expected a scalar or one value per neuron {shape}, found shape {array.shape}")
    return problems


def per_channel(array: npt.NDArray[Number], shape: tuple[int, ...]) -> npt.NDArray[Number]:
    """`array` reshaped to broadcast against neurons of `shape`: a vector over an image's channels gets two axes."""
    return array.reshape(-1, 1, 1) if len(shape) == 3 and array.ndim == 1 and array.size > 1 else array


def per_neuron(array: npt.NDArray[Number], shape: tuple[int, ...]) -> npt.NDArray[Number]:
    """`array` broadcast to neurons `shape`; see `per_channel`."""
    return np.broadcast_to(per_channel(array, shape), shape)


def _range_problems(name: str, array: FloatArray) -> list[str]:
    if name.endswith("decay") and ((array < 0) | (array > 1)).any():
        return [f"{name}: expected values in 0..1 (fraction lost per step), found {array.min()}..{array.max()}"]
    if name == "threshold" and (array < 0).any():
        return [f"threshold: expected values above 0, found {array.min()}"]
    return []
