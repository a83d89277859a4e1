"""A network compiled for the emulator: the integers of each layer, one value per neuron, and bounds on its sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.deploy.quantize import FixedPointLayer, quantize
from bl_neuro.layers import Conv, Dense, Input, Shape
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import per_neuron

FRACTION_BITS = 6
"""Loihi's voltages, thresholds and biases are the mantissas of the file times 2^6."""
Kind = Literal["input", "dense", "conv"]


@dataclass(frozen=True, eq=False)
class Program:
    """One spiking layer in flat form: N neurons, M inputs, channels first.

    weight: (N, M) for a dense layer, (out, in/groups, h, w) for a convolution, None for input neurons. floor_bits: sums
    of weights are shifted right by this many bits, rounding down. recurrent: (N, N) or None. delay: (N, M), 0..62, or
    None. keep_current, keep_voltage: (N,), 4096 - decay. bias, threshold: times 2^6. gain: (N,), weight of input
    neurons. largest_sum: every sum of weights lies in [-largest_sum, largest_sum].
    """

    kind: Kind
    layer: FixedPointLayer
    shape: Shape
    input_shape: Shape
    weight: IntArray | None
    recurrent: IntArray | None
    delay: IntArray | None
    floor_bits: int
    keep_current: IntArray
    keep_voltage: IntArray
    bias: IntArray
    threshold: int
    largest_sum: int
    gain: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def memoryless(self) -> bool:
        """Whether the current of every neuron decays completely in each step."""
        return not self.keep_current.any()

    @property
    def membrane_unit(self) -> int:
        """Divisor that converts a voltage to a membrane potential in thresholds; a threshold of 0 counts as 1."""
        return max(self.threshold, 1 << FRACTION_BITS)


def compile_network(network: Network) -> list[Program]:
    """The spiking layers of `network`, in order. Raises Unsupported if the network has no fixed-point form."""
    return [_compile(network, layer) for layer in quantize(network).layers]


def _compile(network: Network, layer: FixedPointLayer) -> Program:
    source = layer.source
    weight, recurrent, floor_bits = _weights(layer)
    delay = getattr(source, "delay", None)
    size = int(np.prod(layer.shape))
    real = isinstance(source, Input)
    return Program(
        kind="input" if real else "conv" if isinstance(source, Conv) else "dense",
        layer=layer,
        shape=layer.shape,
        input_shape=network.shapes[layer.index - 1] if layer.index else network.input_shape,
        weight=weight,
        recurrent=recurrent,
        delay=None if delay is None else np.broadcast_to(delay, source.weight.shape).astype(np.int64),
        floor_bits=floor_bits,
        keep_current=DECAY_ONE - _flat(layer.current_decay, layer.shape),
        keep_voltage=DECAY_ONE - _flat(layer.voltage_decay, layer.shape),
        bias=_flat(np.zeros((), np.int64) if layer.bias is None else layer.bias, layer.shape) << FRACTION_BITS,
        threshold=layer.threshold << FRACTION_BITS,
        largest_sum=_largest_sum(weight, recurrent),
        gain=np.broadcast_to(source.weight, layer.shape).reshape(size) if isinstance(source, Input) else None,
    )


def _weights(layer: FixedPointLayer) -> tuple[IntArray | None, IntArray | None, int]:
    """Weights, recurrent weights, and the right shift of their sums, applied to the weights themselves if exact."""
    source = layer.source
    if isinstance(source, Input):
        return None, None, 0
    if not isinstance(source, Dense):
        return layer.weight, None, 0
    matrices = [layer.weight]
    if layer.recurrent is not None:
        matrices.append(layer.recurrent)
    stored, shift = stored_together(matrices)
    if shift < 0:
        stored, shift = [matrix << -shift for matrix in stored], 0
    if not any((matrix & ((1 << shift) - 1)).any() for matrix in stored):
        stored, shift = [matrix >> shift for matrix in stored], 0
    return stored[0], stored[1] if len(stored) > 1 else None, shift


def _largest_sum(weight: IntArray | None, recurrent: IntArray | None) -> int:
    return sum(
        int(np.abs(matrix).reshape(len(matrix), -1).sum(1).max())
        for matrix in (weight, recurrent)
        if matrix is not None
    )


def _flat(values: IntArray, shape: Shape) -> IntArray:
    """One value per neuron, (N,)."""
    return per_neuron(values, shape).reshape(-1).astype(np.int64)


class LayerTrace(Protocol):
    """Recording of one layer."""

    @property
    def spikes(self) -> Tensor:
        """(T, B, N), uint8."""

    @property
    def voltage(self) -> Tensor | None:
        """(T, B, N), int32, before the reset, or None if it was not recorded."""

    @property
    def current(self) -> Tensor:
        """(B, N), int32, after the last step."""

    @property
    def final_voltage(self) -> Tensor:
        """(B, N), int32, after the last step and its reset."""
