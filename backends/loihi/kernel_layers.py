"""The layers of a network on the CPU, each run by compiled kernels on spikes that are packed in bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.backends.loihi.conv_kernel import event_places, kernel_lanes, lanes_of, list_taps, run_conv
from bl_neuro.backends.loihi.conv_lookup import NO_LOOKUP, conv_lookup
from bl_neuro.backends.loihi.dense_kernel import run_dense
from bl_neuro.backends.loihi.neuron_kernel import run_neurons
from bl_neuro.backends.loihi.packing import Words, packed, unpacked, words_of
from bl_neuro.backends.loihi.program import FRACTION_BITS, Program
from bl_neuro.backends.loihi.sums import HALF, Synapses
from bl_neuro.backends.loihi.torch_engine import TorchEngine
from bl_neuro.backends.loihi.vectors import LANES, PLACES, ROW_LANES, WORD
from bl_neuro.layers import Conv

Int32Array = npt.NDArray[np.int32]
TILES = (ROW_LANES, 2 * ROW_LANES, 4 * ROW_LANES)
"""Numbers of neurons of a tile, for which there are kernels."""
MAX_TAPS = 2**21
"""Maximum number of taps of all input pixels that are listed; larger convolutions use the full product."""
EVENT_COST, TAP_COST = 20, 2
"""Time of a spike and of each of its taps, in times of an addition from a table (measured with 12 and 24 channels)."""
NEVER = 2**62
"""A number of spikes that no frame has."""
_NOT_RECORDED: Int32Array = np.empty((0, 0, 0), np.int32)


@dataclass(frozen=True, eq=False)
class Bits:
    """Where the values of a layer lie in its bits. positions: (N,); words: number of words of a frame."""

    positions: Int32Array
    words: int

    @cached_property
    def are_in_order(self) -> bool:
        """Whether value n is bit n."""
        return bool((self.positions == np.arange(len(self.positions))).all())

    @staticmethod
    def in_order(size: int, words: int | None = None) -> Bits:
        """The bits of values in their own order."""
        return Bits(np.arange(size, dtype=np.int32), words_of(size) if words is None else words)

    def mask(self) -> Words:
        """The bits that stand for values, (W,)."""
        mask = np.zeros(self.words, np.uint64)
        np.bitwise_or.at(mask, self.positions // WORD, np.uint64(1) << (self.positions % WORD).astype(np.uint64))
        return mask


class Frames(NamedTuple):
    """Spikes of `steps` time steps as words (B, T, W), or (B, 1, W) for one frame that is repeated in all steps."""

    words: Words
    steps: int

    @property
    def constant(self) -> bool:
        """Whether one frame is repeated."""
        return self.words.shape[1] < self.steps

    def part(self, first: int, last: int) -> Frames:
        """The samples from `first` to before `last`."""
        return Frames(self.words[first:last], self.steps)


@dataclass(frozen=True, eq=False)
class KernelTrace:
    """Recording of one layer; see `program.LayerTrace`. Spikes are unpacked where they are asked for."""

    frames: Frames
    bits: Bits
    voltages: Int32Array | None
    final: Int32Array

    @cached_property
    def spikes(self) -> Tensor:
        """(T, B, N), uint8."""
        return torch.from_numpy(unpacked(self.frames.words, self.bits.positions))

    @cached_property
    def voltage(self) -> Tensor | None:
        """(T, B, N), int32, or None if it was not recorded."""
        return None if self.voltages is None else self._in_order(self.voltages)

    @property
    def current(self) -> Tensor:
        """(B, N), int32."""
        return self._in_order(self.final[0])

    @property
    def final_voltage(self) -> Tensor:
        """(B, N), int32."""
        return self._in_order(self.final[1])

    def _in_order(self, values: Int32Array) -> Tensor:
        positions = self.bits.positions
        if self.bits.are_in_order:
            return torch.from_numpy(values[..., : len(positions)])
        return torch.from_numpy(values[..., positions])


@dataclass(frozen=True, eq=False)
class _Neurons:
    """Parameters of a layer's neurons, each at its position of `width`; the others never spike.

    A parameter that is the same for all neurons has LANES values.
    """

    keep_current: Int32Array
    keep_voltage: Int32Array
    bias: Int32Array
    threshold: Any
    memoryless: bool

    @staticmethod
    def of(program: Program, positions: Int32Array, width: int) -> _Neurons:
        def placed(values: npt.NDArray[np.int64]) -> Int32Array:
            if (values == values[0]).all() and (not values[0] or values is not program.bias or len(values) == width):
                return np.full(LANES, values[0], np.int32)
            whole = np.zeros(width, np.int32)
            whole[positions] = values
            return whole

        keep_current, keep_voltage, bias = map(placed, (program.keep_current, program.keep_voltage, program.bias))
        return _Neurons(keep_current, keep_voltage, bias, np.int32(program.threshold), program.memoryless)


class KernelLayer(Protocol):
    """A layer with its `bits`, the positions of its neurons' spikes."""

    bits: Bits

    def run(self, frames: Frames, lead: int, record: bool) -> KernelTrace:
        """The trace for spikes, after `lead` steps without input. record: whether to record voltages."""


class _Outputs(NamedTuple):
    """Arrays that a kernel fills. fired: (B, T, bytes), a view of `words`; voltages: (T, B, width) or empty."""

    words: Words
    fired: npt.NDArray[np.uint8]
    voltages: Int32Array
    final: Int32Array

    @staticmethod
    def of(batch: int, steps: int, width: int, record: bool) -> _Outputs:
        count = words_of(width)
        words = np.empty((batch, steps, count), np.uint64)
        if width % WORD:
            words[..., -1] = 0
        voltages = np.empty((steps, batch, width), np.int32) if record else _NOT_RECORDED
        return _Outputs(words, words.view(np.uint8), voltages, np.empty((2, batch, width), np.int32))

    def trace(self, bits: Bits) -> KernelTrace:
        voltages = self.voltages if self.voltages.size else None
        return KernelTrace(Frames(self.words, self.words.shape[1]), bits, voltages, self.final)


class DenseLayer:
    """A dense layer without delays or recurrent synapses: event-driven, its weights in tiles."""

    def __init__(self, program: Program, inputs: Bits) -> None:
        if program.weight is None:
            raise TypeError("expected a layer with weights")
        outputs, _ = program.weight.shape
        tile = next((width for width in TILES if width >= outputs), TILES[-1])
        self._width = -(-outputs // tile) * tile
        self.bits = Bits.in_order(outputs, words_of(self._width))
        self._mask, self._inputs = inputs.mask(), len(inputs.positions)
        weight, zeros = _without_zero_bits(program.weight) if not program.floor_bits else (program.weight, 0)
        largest = max(1, int(np.abs(weight).max()))
        narrow = np.int8 if weight.min() >= -128 and weight.max() <= 127 else np.int16
        rows = np.zeros((int(inputs.positions[-1]) + 1, self._width), narrow)
        rows[inputs.positions, :outputs] = weight.T
        self._weights = np.ascontiguousarray(rows.reshape(len(rows), -1, tile).transpose(1, 0, 2))
        self._total = rows.sum(0, dtype=np.int32)
        self._flush = 32767 // largest
        self._shifts: Any = np.int32(program.floor_bits), np.int32(FRACTION_BITS + zeros)
        self._neurons = _Neurons.of(program, self.bits.positions, self._width)

    def run(self, frames: Frames, lead: int, record: bool) -> KernelTrace:
        """See `KernelLayer.run`."""
        outputs = _Outputs.of(len(frames.words), frames.steps + lead, self._width, record)
        neurons = self._neurons
        run_dense(
            frames.words, self._mask, self._inputs, self._weights, self._total, self._flush, *self._shifts, lead,
            neurons.keep_current, neurons.keep_voltage, neurons.bias, neurons.threshold, neurons.memoryless,
            outputs.fired, outputs.voltages, outputs.final[0], outputs.final[1],
        )  # fmt: skip
        return outputs.trace(self.bits)


class ConvLayer:
    """A convolution: event-driven, or by tables for many spikes. The channels of a place lie side by side."""

    def __init__(self, program: Program, layer: Conv, inputs: Bits) -> None:
        if program.weight is None:
            raise TypeError("expected a layer with weights")
        channels, inner = program.weight.shape[:2]
        places, group_size = int(np.prod(program.shape[1:])), channels // layer.groups
        lanes = lanes_of(group_size)
        self._shape = layer.groups * places, group_size
        self._width = -(-program.size // LANES) * LANES
        channel, place = np.divmod(np.arange(program.size), places)
        group, lane = np.divmod(channel, group_size)
        positions = ((group * places + place) * group_size + lane).astype(np.int32)
        self.bits = Bits(positions, words_of(self._width))
        self._wraps = program.largest_sum >= HALF
        weight, zeros = (program.weight, 0) if self._wraps else _without_zero_bits(program.weight)
        narrow = np.int16 if program.largest_sum >> zeros <= 32767 else np.int32
        kernels = kernel_lanes(weight, layer.groups, narrow)
        self._weights = kernels.reshape(-1)
        self._sums = max(layer.groups * places * lanes + 2 * PLACES * max(lanes, ROW_LANES), self._width)
        self._left: Any = np.int32(FRACTION_BITS + zeros)
        taps = list_taps(layer, program.input_shape, program.shape)
        self._taps = taps.starts, taps.kernel * np.int32(lanes), taps.place * np.int32(lanes), lanes
        pixels = int(np.prod(program.input_shape[1:]))
        self._events = event_places(
            program.input_shape[0], pixels, inner, places * lanes, kernels.shape[1] * lanes, inputs.positions,
            inputs.words * WORD,
        )  # fmt: skip
        lookup = conv_lookup(layer, kernels, program.input_shape, program.shape, inputs.positions)
        self._lookup = lookup or NO_LOOKUP
        spike_cost = EVENT_COST + TAP_COST * len(taps.kernel) / pixels * -(-lanes // ROW_LANES)
        self._dense_from = NEVER if lookup is None else int(lookup.additions / spike_cost)
        self._neurons = _Neurons.of(program, positions, self._width)

    def run(self, frames: Frames, lead: int, record: bool) -> KernelTrace:
        """See `KernelLayer.run`."""
        outputs = _Outputs.of(len(frames.words), frames.steps + lead, self._width, record)
        neurons = self._neurons
        run_conv(
            frames.words, frames.steps, self._events, self._taps, self._weights, self._lookup, self._dense_from,
            *self._shape, self._wraps, self._left, lead, neurons.keep_current, neurons.keep_voltage, neurons.bias,
            neurons.threshold, neurons.memoryless, np.empty(self._sums, self._weights.dtype), outputs.fired,
            outputs.voltages, outputs.final[0], outputs.final[1],
        )  # fmt: skip
        return outputs.trace(self.bits)


class ProductLayer:
    """A layer with delays, or a very large convolution: exact products, then the neurons' kernel."""

    def __init__(self, program: Program, inputs: Bits) -> None:
        self._synapses = Synapses(program, torch.device("cpu"))
        self._delayed = program.delay is not None
        self._inputs = inputs
        self._neurons = NeuronLayer(program)
        self.bits = self._neurons.bits

    def run(self, frames: Frames, lead: int, record: bool) -> KernelTrace:
        """See `KernelLayer.run`."""
        spikes = torch.from_numpy(unpacked(frames.words, self._inputs.positions))
        if self._delayed:
            spikes = spikes.expand(frames.steps, *spikes.shape[1:])
        sums = self._synapses(spikes)
        return self._neurons.run_on(sums.expand(frames.steps, *sums.shape[1:]).numpy(), lead, record)


class NeuronLayer:
    """Neurons that get their drive, (T, B, N) of int32, from elsewhere: input neurons, and those behind products."""

    def __init__(self, program: Program) -> None:
        self._width = -(-program.size // LANES) * LANES
        self.bits = Bits.in_order(program.size, words_of(self._width))
        self._neurons = _Neurons.of(program, self.bits.positions, self._width)

    def run_on(self, drive: Int32Array, lead: int, record: bool) -> KernelTrace:
        """The trace for a drive, after `lead` steps without input."""
        steps, batch, size = drive.shape
        outputs = _Outputs.of(batch, steps + lead, self._width, False)
        voltages = np.zeros((steps + lead, batch, size), np.int32)
        voltages[lead:] = drive
        neurons = self._neurons
        run_neurons(
            voltages, FRACTION_BITS, neurons.keep_current, neurons.keep_voltage, neurons.bias, neurons.threshold,
            neurons.memoryless, outputs.fired, outputs.final[0], outputs.final[1],
        )  # fmt: skip
        return outputs._replace(voltages=voltages if record else _NOT_RECORDED).trace(self.bits)


class RecurrentLayer:
    """A layer with recurrent synapses, run by the torch engine step by step."""

    def __init__(self, program: Program, inputs: Bits) -> None:
        self._engine = TorchEngine([program], torch.device("cpu"))
        self._inputs = inputs
        self.bits = Bits.in_order(program.size)

    def run(self, frames: Frames, lead: int, record: bool) -> KernelTrace:
        """See `KernelLayer.run`."""
        spikes = torch.from_numpy(unpacked(frames.words, self._inputs.positions))
        trace = self._engine.run(spikes.expand(frames.steps, *spikes.shape[1:]), lead, [record])[0]
        words, _ = packed(trace.spikes.numpy())
        voltages = None if trace.voltage is None else trace.voltage.numpy()
        final = np.stack([trace.current.numpy(), trace.final_voltage.numpy()])
        return KernelTrace(Frames(words, words.shape[1]), self.bits, voltages, final)


def kernel_layer(program: Program, inputs: Bits) -> KernelLayer:
    """The layer of a program that gets spikes at the given bits."""
    source = program.layer.source
    if program.recurrent is not None:
        return RecurrentLayer(program, inputs)
    if program.delay is not None or program.weight is None:
        return ProductLayer(program, inputs)
    if not isinstance(source, Conv):
        return DenseLayer(program, inputs)
    if int(np.prod(program.shape[1:])) * int(np.prod(program.weight.shape[2:])) > MAX_TAPS:
        return ProductLayer(program, inputs)
    return ConvLayer(program, source, inputs)


def _without_zero_bits(weight: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Weights divided by the largest power of two that divides all of them, and its exponent."""
    union = int(np.bitwise_or.reduce(weight, axis=None))
    zeros = (union & -union).bit_length() - 1 if union else 0
    return weight >> zeros, zeros
