"""Layers of a network: synapses with their neurons (`Dense`, `Conv`) and shape-only steps between them.

Shapes are those of one sample at one step: `(features,)` or `(channels, height, width)`.
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

Shape = tuple[int, ...]
Pair = tuple[int, int]
MAX_EXTENT = 2**16
"""Largest size, stride, padding or dilation."""


def _pair(value: Any, name: str, least: int) -> Pair:
    given = value.tolist() if isinstance(value, np.ndarray) else value
    values = [whole_number(each) for each in (given if isinstance(given, (tuple, list)) else (given, given))]
    pair = [number for number in values if number is not None and least <= number <= MAX_EXTENT]
    if len(values) != 2 or len(pair) != 2:
        found = reprlib.repr(given)
        raise NetworkError([f"{name}: expected a whole number in {least}..{MAX_EXTENT}, or two, found {found}"])
    return pair[0], pair[1]


def _windows(shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """How many windows fit in each direction of an image (C, H, W)."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    spans = [size + 2 * p - r for size, p, r in zip(shape[1:], padding, reach)]
    if min(spans) < 0:
        raise NetworkError([f"a window of {reach[0]}x{reach[1]} does not fit an input of shape {shape}"])
    return spans[0] // stride[0] + 1, spans[1] // stride[1] + 1


def _need_image(shape: Shape, what: str) -> None:
    if len(shape) != 3:
        raise NetworkError([f"{what} expects an input of shape (channels, height, width), found {shape}"])


def _need_neuron(neuron: Any) -> None:
    if not isinstance(neuron, CubaLIF):
        raise NetworkError([f"neuron: expected a CubaLIF, found {type(neuron).__name__}"])


@dataclass(frozen=True, eq=False, repr=False)
class Dense:
    """Fully connected synapses, weight (out, in), and their neurons. Input (in,), output (out,)."""

    weight: FloatArray
    neuron: CubaLIF

    def __init__(self, weight: Any, neuron: CubaLIF) -> None:
        array = frozen_array(weight, "weight")
        if array.ndim != 2 or 0 in array.shape:
            raise NetworkError([f"weight: expected shape (out, in), found {array.shape}"])
        _need_neuron(neuron)
        object.__setattr__(self, "weight", array)
        object.__setattr__(self, "neuron", neuron)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`; NetworkError where they do not fit."""
        if shape != (self.weight.shape[1],):
            hint = "; put a Flatten before it" if len(shape) > 1 else ""
            raise NetworkError([f"Dense expects an input of shape ({self.weight.shape[1]},), found {shape}{hint}"])
        return (self.weight.shape[0],)

    def __repr__(self) -> str:
        return f"<{self}, {self.neuron!r}>"

    def __str__(self) -> str:
        return f"Dense {self.weight.shape[1]} -> {self.weight.shape[0]}"


@dataclass(frozen=True, eq=False, repr=False)
class Conv:
    """2-D convolution (cross-correlation), weight (out, in/groups, h, w), and its neurons. Input (C, H, W)."""

    weight: FloatArray
    neuron: CubaLIF
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def __init__(
        self,
        weight: Any,
        neuron: CubaLIF,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> None:
        array = frozen_array(weight, "weight")
        if array.ndim != 4 or 0 in array.shape:
            raise NetworkError([f"weight: expected shape (out, in/groups, h, w), found {array.shape}"])
        divisor = whole_number(groups)
        if divisor is None or divisor < 1 or array.shape[0] % divisor:
            found = reprlib.repr(groups)
            raise NetworkError([f"groups: expected a divisor of {array.shape[0]} output channels, found {found}"])
        _need_neuron(neuron)
        object.__setattr__(self, "weight", array)
        object.__setattr__(self, "neuron", neuron)
        object.__setattr__(self, "stride", _pair(stride, "stride", 1))
        object.__setattr__(self, "padding", _pair(padding, "padding", 0))
        object.__setattr__(self, "dilation", _pair(dilation, "dilation", 1))
        object.__setattr__(self, "groups", divisor)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (out, H', W') of the output for an input of `shape`; NetworkError where they do not fit."""
        _need_image(shape, "Conv")
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
    """Turns (C, H, W) into (C*H*W,), channel first."""

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
        """Shape (C, H', W') of the output for an input of `shape`; NetworkError where they do not fit."""
        _need_image(shape, type(self).__name__)
        return (shape[0], *_windows(shape, self.size, self.stride, (0, 0), (1, 1)))

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.size[0]}x{self.size[1]}, stride {self.stride}"


class SumPool(_Pool):
    """Sums the spikes of each window (size, stride = size) into a graded value; it has no neurons."""


class AveragePool(_Pool):
    """Averages the spikes of each window (size, stride = size) into a graded value; it has no neurons."""


Layer = Dense | Conv | Flatten | SumPool | AveragePool
SPIKING = (Dense, Conv)
