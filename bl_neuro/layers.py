"""Layers of a network: synapses with their neurons (`Dense`, `Conv`), input neurons, and layers that change the shape.

Shapes are those of one sample at one time step: `(features,)` or `(channels, height, width)`.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import whole_number
from bl_neuro.errors import NetworkError
from bl_neuro.neuron import CubaLIF, frozen_array
from bl_neuro.sigma_delta import Delta, Sigma, SigmaDelta

Shape = tuple[int, ...]
Pair = tuple[int, int]
Neuron = CubaLIF | SigmaDelta | Sigma
"""Neurons behind synapses: spiking ones, or those of a sigma-delta network."""
MAX_EXTENT = 2**16
"""Largest size, stride, padding or dilation."""
MAX_DELAY = 62
"""Longest synaptic delay on Loihi, in time steps."""


def _pair(value: Any, name: str, minimum: int) -> Pair:
    items = value.tolist() if isinstance(value, np.ndarray) else value
    values = [whole_number(number) for number in (items if isinstance(items, (tuple, list)) else (items, items))]
    pair = [number for number in values if number is not None and minimum <= number <= MAX_EXTENT]
    if len(values) != 2 or len(pair) != 2:
        content = reprlib.repr(items)
        raise NetworkError([f"{name}: expected a whole number in {minimum}..{MAX_EXTENT}, or two, found {content}"])
    return pair[0], pair[1]


def _windows(shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Number of windows that fit in each direction of an image (C, H, W)."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    spans = [size + 2 * p - r for size, p, r in zip(shape[1:], padding, reach)]
    if min(spans) < 0:
        raise NetworkError([f"a window of {reach[0]}x{reach[1]} does not fit an input of shape {shape}"])
    return spans[0] // stride[0] + 1, spans[1] // stride[1] + 1


def _check_image(shape: Shape, layer_name: str) -> None:
    if len(shape) != 3:
        raise NetworkError([f"{layer_name} expects an input of shape (channels, height, width), found {shape}"])


def _check_neuron(neuron: Any, *sigma_delta: type) -> None:
    if not isinstance(neuron, (CubaLIF, *sigma_delta)):
        *names, last = (kind.__name__ for kind in (CubaLIF, *sigma_delta))
        raise NetworkError([f"neuron: expected a {', '.join(names)} or {last}, found {type(neuron).__name__}"])


@dataclass(frozen=True, eq=False, repr=False)
class Input:
    """Input neurons, allowed as the first layer: real inputs x, constant or varying, drive them as weight * x + bias.

    weight, bias: a scalar or one value per neuron. neuron: `CubaLIF`, or `Delta` in a sigma-delta network. Output shape
    = input shape, without synapse or delay. In Loihi's arithmetic the drive is rounded toward zero to an integer, like
    in netx.
    """

    weight: FloatArray
    bias: FloatArray
    neuron: Any  # a CubaLIF in a spiking network

    def __init__(self, weight: Any, neuron: CubaLIF | Delta, bias: Any = 0.0) -> None:
        _check_neuron(neuron, Delta)
        object.__setattr__(self, "weight", frozen_array(weight, "weight"))
        object.__setattr__(self, "bias", frozen_array(bias, "bias"))
        object.__setattr__(self, "neuron", neuron)

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape; NetworkError if weight or bias does not fit it."""
        for name in ("weight", "bias"):
            parameter_shape = getattr(self, name).shape
            if parameter_shape not in ((), (1,), shape):
                expected = f"expected a scalar or one value per neuron {shape}"
                raise NetworkError([f"{name}: {expected}, found shape {parameter_shape}"])
        return shape

    def __repr__(self) -> str:
        return f"<{self}, {self.neuron!r}>"

    def __str__(self) -> str:
        return "Input neurons"


@dataclass(frozen=True, eq=False, repr=False)
class Dense:
    """Fully connected synapses, weight (out, in), and their neurons. Input (in,), output (out,).

    neuron: `CubaLIF`, or `SigmaDelta` or `Sigma` in a sigma-delta network.
    delay: synaptic delay in whole time steps, 0..62, a scalar or an array that broadcasts to (out, in), or None.
    recurrent: weight (out, out) of synapses from these neurons to themselves, with a delay of one step, or None.
    current_bias: (out,), added to the synaptic current in every step, which filters it with current_decay, or None. The
    bias of the neurons is added to the voltage instead.
    """

    weight: FloatArray
    neuron: Any  # a CubaLIF in a spiking network
    delay: FloatArray | None
    recurrent: FloatArray | None
    current_bias: FloatArray | None

    def __init__(
        self, weight: Any, neuron: Neuron, delay: Any = None, recurrent: Any = None, current_bias: Any = None
    ) -> None:
        array = frozen_array(weight, "weight")
        if array.ndim != 2 or 0 in array.shape:
            raise NetworkError([f"weight: expected shape (out, in), found {array.shape}"])
        _check_neuron(neuron, SigmaDelta, Sigma)
        object.__setattr__(self, "weight", array)
        object.__setattr__(self, "neuron", neuron)
        object.__setattr__(self, "delay", None if delay is None else _delay(delay, array.shape))
        object.__setattr__(self, "recurrent", None if recurrent is None else _recurrent(recurrent, array.shape[0]))
        object.__setattr__(self, "current_bias", _current_bias(current_bias, array.shape[0]))

    @property
    def max_delay(self) -> int:
        """The longest synaptic delay, in time steps."""
        return 0 if self.delay is None else int(self.delay.max())

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`; NetworkError if they do not match."""
        if shape != (self.weight.shape[1],):
            hint = "; put a Flatten before it" if len(shape) > 1 else ""
            raise NetworkError([f"Dense expects an input of shape ({self.weight.shape[1]},), found {shape}{hint}"])
        return (self.weight.shape[0],)

    def __repr__(self) -> str:
        return f"<{self}, {self.neuron!r}>"

    def __str__(self) -> str:
        delays = "" if self.delay is None else f", delays up to {self.max_delay}"
        recurrent = "" if self.recurrent is None else ", recurrent"
        return f"Dense {self.weight.shape[1]} -> {self.weight.shape[0]}{delays}{recurrent}"


def _delay(value: Any, weight_shape: Shape) -> FloatArray | None:
    """Delays as (1, 1), (out, 1), (1, in) or (out, in); None if all are zero."""
    array = frozen_array(value, "delay")
    if array.ndim == 0:
        array = array.reshape(1, 1)
    fits = array.ndim == 2 and all(have in (1, want) for have, want in zip(array.shape, weight_shape))
    if not fits:
        expected = f"a scalar or a shape that broadcasts to {weight_shape}"
        raise NetworkError([f"delay: expected {expected}, found {array.shape}"])
    if ((array != np.round(array)) | (array < 0) | (array > MAX_DELAY)).any():
        raise NetworkError([f"delay: expected whole steps in 0..{MAX_DELAY}, found {array.min():g}..{array.max():g}"])
    array.setflags(write=False)
    return array if array.any() else None


def _recurrent(value: Any, neurons: int) -> FloatArray:
    array = frozen_array(value, "recurrent")
    if array.shape != (neurons, neurons):
        raise NetworkError([f"recurrent: expected shape {(neurons, neurons)}, found {array.shape}"])
    return array


def _current_bias(value: Any, channels: int) -> FloatArray | None:
    """A bias of the synaptic current, (channels,); None if all are zero."""
    if value is None:
        return None
    array = frozen_array(value, "current_bias")
    if array.shape != (channels,):
        raise NetworkError([f"current_bias: expected shape {(channels,)}, found {array.shape}"])
    return array if array.any() else None


@dataclass(frozen=True, eq=False, repr=False)
class Conv:
    """2-D convolution (cross-correlation), weight (out, in/groups, h, w), and its neurons. Input (C, H, W).

    neuron: `CubaLIF`, or `SigmaDelta` or `Sigma` in a sigma-delta network.
    current_bias: (out,), added to the synaptic current in every step; see `Dense`.
    """

    weight: FloatArray
    neuron: Any  # a CubaLIF in a spiking network
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    current_bias: FloatArray | None

    def __init__(
        self,
        weight: Any,
        neuron: Neuron,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        current_bias: Any = None,
    ) -> None:
        array = frozen_array(weight, "weight")
        if array.ndim != 4 or 0 in array.shape:
            raise NetworkError([f"weight: expected shape (out, in/groups, h, w), found {array.shape}"])
        divisor = whole_number(groups)
        if divisor is None or divisor < 1 or array.shape[0] % divisor:
            content = reprlib.repr(groups)
            raise NetworkError([f"groups: expected a divisor of {array.shape[0]} output channels, found {content}"])
        _check_neuron(neuron, SigmaDelta, Sigma)
        object.__setattr__(self, "weight", array)
        object.__setattr__(self, "neuron", neuron)
        object.__setattr__(self, "stride", _pair(stride, "stride", 1))
        object.__setattr__(self, "padding", _pair(padding, "padding", 0))
        object.__setattr__(self, "dilation", _pair(dilation, "dilation", 1))
        object.__setattr__(self, "groups", divisor)
        object.__setattr__(self, "current_bias", _current_bias(current_bias, array.shape[0]))

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (out, H', W') of the output for an input of `shape`; NetworkError if they do not match."""
        _check_image(shape, "Conv")
        channels = self.weight.shape[1] * self.groups
        if shape[0] != channels:
            raise NetworkError([f"Conv expects {channels} input channels, found {shape[0]} in {shape}"])
        kernel = (self.weight.shape[2], self.weight.shape[3])
        return (self.weight.shape[0], *_windows(shape, kernel, self.stride, self.padding, self.dilation))

    def __repr__(self) -> str:
        return f"<{self}, {self.neuron!r}>"

    def __str__(self) -> str:
        out, inner, height, width = self.weight.shape
        return f"Conv {inner * self.groups} -> {out}, {height}x{width}, stride {self.stride}, padding {self.padding}"


@dataclass(frozen=True, eq=False, repr=False)
class Flatten:
    """Flattens (C, H, W) to (C*H*W,), channels first."""

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return (math.prod(shape),)

    def __repr__(self) -> str:
        return "<Flatten>"

    def __str__(self) -> str:
        return "Flatten"


@dataclass(frozen=True, eq=False, repr=False)
class _Pool:
    size: Pair
    stride: Pair

    def __init__(self, size: Any, stride: Any = None) -> None:
        object.__setattr__(self, "size", _pair(size, "size", 1))
        object.__setattr__(self, "stride", _pair(size if stride is None else stride, "stride", 1))

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (C, H', W') of the output for an input of `shape`; NetworkError if they do not match."""
        _check_image(shape, type(self).__name__)
        return (shape[0], *_windows(shape, self.size, self.stride, (0, 0), (1, 1)))

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.size[0]}x{self.size[1]}, stride {self.stride}"


class SumPool(_Pool):
    """Sum pooling over windows (size, stride = size); outputs graded values and has no neurons."""


class AveragePool(_Pool):
    """Average pooling over windows (size, stride = size); outputs graded values and has no neurons."""


Layer = Input | Dense | Conv | Flatten | SumPool | AveragePool
SPIKING = (Input, Dense, Conv)
"""The layers with neurons."""
