"""The emulator on the CPU: event-driven dense layers with fused neuron updates, exact products for other layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.backends.loihi.conv_kernel import MAX_TAPS, EventConv
from bl_neuro.backends.loihi.dense_kernel import run_dense
from bl_neuro.backends.loihi.neuron_kernel import run_neurons
from bl_neuro.backends.loihi.program import LayerTrace, Program
from bl_neuro.backends.loihi.rows import COUNTS, GROUP, OFFSETS, plan_rows
from bl_neuro.backends.loihi.sums import Synapses
from bl_neuro.backends.loihi.torch_engine import TorchEngine
from bl_neuro.layers import Conv

Int32Array = npt.NDArray[np.int32]
TILE_BYTES = 2**19
"""Bytes of a tile's weights: half of a typical second-level cache."""
LANES = 32
"""Number of 16-bit values in the widest vector; tile widths are a multiple."""
_NONE: Int32Array = np.empty((0, 0, 0), np.int32)


@dataclass(frozen=True, eq=False)
class _Neurons:
    """Parameters of a layer's neurons in the form the kernels need, padded with neurons that never spike."""

    keep_current: Int32Array
    keep_voltage: Int32Array
    bias: Int32Array
    threshold: Any
    memoryless: bool

    @staticmethod
    def of(program: Program, width: int) -> _Neurons:
        padding = (0, width - program.size)
        keep_current, keep_voltage, bias = (
            np.pad(values, padding).astype(np.int32)
            for values in (program.keep_current, program.keep_voltage, program.bias)
        )
        return _Neurons(keep_current, keep_voltage, bias, np.int32(program.threshold), program.memoryless)


class _EventDense:
    """A dense layer without delays, its weights in tiles (tiles, M + 1, tile); the weights of input M are zero."""

    def __init__(self, program: Program, weight: npt.NDArray[np.int64]) -> None:
        outputs, self._inputs = weight.shape
        widest = max(LANES, TILE_BYTES // (2 * (self._inputs + 1)) // LANES * LANES)
        tile = min(256, widest, -(-outputs // LANES) * LANES)
        self.width = -(-outputs // tile) * tile
        padded = np.zeros((self.width, self._inputs + 1), np.int16)
        padded[:outputs, : self._inputs] = weight
        self._weights = np.ascontiguousarray(padded.reshape(-1, tile, self._inputs + 1).transpose(0, 2, 1))
        self._total = padded.sum(1, dtype=np.int32)
        largest = max(1, int(np.abs(weight).max()))
        self._flush = 32767 // largest // GROUP * GROUP
        self._floor_bits: Any = np.int32(program.floor_bits)
        self._neurons = _Neurons.of(program, self.width)

    def run(self, frames: npt.NDArray[np.uint8], steps: int, constant: bool, lead: int, record: bool) -> LayerTrace:
        """The trace for frames (T, B, bytes), or (1, B, bytes) repeated for `steps` time steps (`constant`)."""
        words = frames.view(np.uint64)
        batch = words.shape[1]
        starts = np.empty((batch, steps, 3), np.int64)
        modes = np.empty((batch, steps), np.int8)
        lists = np.empty(len(words) * batch * (16 * words.shape[2] + 4 * GROUP), np.int32)
        plan_rows(words, self._inputs, constant, starts, modes, lists, OFFSETS, COUNTS)
        fired = np.empty((steps + lead, batch, self.width), np.uint8)
        voltages = np.empty(fired.shape, np.int32) if record else _NONE
        final = np.empty((2, batch, self.width), np.int32)
        neurons = self._neurons
        run_dense(
            self._weights, self._total, self._flush, self._floor_bits, starts, modes, lists, lead,
            neurons.keep_current, neurons.keep_voltage, neurons.bias, neurons.threshold, neurons.memoryless,
            fired, voltages, final[0], final[1],
        )  # fmt: skip
        return _trace(fired, voltages if record else None, final)


class KernelEngine:
    """Runs programs on the CPU, in one thread per call. Concurrent calls from several threads are safe."""

    def __init__(self, programs: list[Program]) -> None:
        self._programs = programs
        device = torch.device("cpu")
        self._synapses = [Synapses(program, device) for program in programs]
        self._recurrent = {p: TorchEngine([p], device) for p in programs if p.recurrent is not None}
        self._dense = [_event_dense(program) for program in programs]
        self._conv = [_event_conv(program) for program in programs]
        self._neurons = [_Neurons.of(program, program.size) for program in programs]

    def run(self, inputs: Tensor, lead: int, records: list[bool]) -> list[LayerTrace]:
        """The traces of all layers for inputs (T, B, M): uint8 spikes, or int32 drive if the first layer is Input.

        lead: time steps that each layer with synapses runs on its biases before its first input; its trace is longer
        than its input by as many steps. records: whether to record voltages, for each layer.
        """
        steps = inputs.shape[0]
        constant = steps > 1 and inputs.stride(0) == 0
        values: Any = inputs[:1] if constant else inputs
        traces: list[LayerTrace] = []
        for number, (program, record) in enumerate(zip(self._programs, records)):
            dense = self._dense[number]
            layer_lead = 0 if program.kind == "input" else lead
            if dense is not None:
                trace = dense.run(_padded(values, program), steps, constant, layer_lead, record)
            elif program in self._recurrent:
                whole = values.expand(steps, *values.shape[1:])[..., : int(np.prod(program.input_shape))]
                trace = self._recurrent[program].run(whole, layer_lead, [record])[0]
            else:
                trace = self._behind_sums(number, values, steps, layer_lead, record)
            traces.append(trace)
            values, constant, steps = trace.spikes, False, steps + layer_lead
        return traces

    def _sum(self, number: int, values: Tensor, sums: Int32Array) -> None:
        """Writes the sums of weights (T, B, N), or the drive of input neurons; a constant frame's in every step."""
        program, conv = self._programs[number], self._conv[number]
        if program.kind == "input":
            sums[:] = values.numpy()
            return
        if conv is not None:
            frames = _padded(values, program)
            if conv.pays(frames):
                conv(frames, sums[: len(frames)])
                sums[len(frames) :] = sums[0]
                return
        sums[:] = self._synapses[number](values[..., : _inputs(program)]).numpy()

    def _behind_sums(self, number: int, values: Tensor, steps: int, lead: int, record: bool) -> LayerTrace:
        program, neurons = self._programs[number], self._neurons[number]
        if program.delay is not None:
            values = values.expand(steps, *values.shape[1:])
        batch = values.shape[1]
        voltages = np.empty((steps + lead, batch, program.size), np.int32)
        voltages[:lead] = 0
        self._sum(number, values, voltages[lead:])
        width = -(-program.size // LANES) * LANES
        fired = np.zeros((steps + lead, batch, width), np.uint8)
        final = np.empty((2, batch, program.size), np.int32)
        run_neurons(
            voltages, neurons.keep_current, neurons.keep_voltage, neurons.bias, neurons.threshold, neurons.memoryless,
            fired[..., : program.size], final[0], final[1],
        )  # fmt: skip
        return _trace(fired, voltages if record else None, final)


def _event_conv(program: Program) -> EventConv | None:
    source = program.layer.source
    if not isinstance(source, Conv) or program.weight is None:
        return None
    if int(np.prod(program.shape[1:])) * int(np.prod(program.weight.shape[2:])) > MAX_TAPS:
        return None
    return EventConv(source, program.weight, program.input_shape, program.shape)


def _event_dense(program: Program) -> _EventDense | None:
    if program.kind != "dense" or program.weight is None or program.delay is not None or program.recurrent is not None:
        return None
    return _EventDense(program, program.weight)


def _inputs(program: Program) -> int:
    return int(np.prod(program.input_shape))


def _padded(values: Tensor, program: Program) -> npt.NDArray[np.uint8]:
    """Spikes (T, B, bytes) as a contiguous array, each frame zero-padded to a multiple of eight bytes."""
    inputs = _inputs(program)
    width = values.shape[2]
    if width % 8 == 0 and values.is_contiguous():
        whole: npt.NDArray[np.uint8] = values.numpy()
        return whole
    padded = torch.zeros((*values.shape[:2], -(-inputs // 8) * 8), dtype=torch.uint8)
    padded[..., :inputs] = values[..., :inputs]
    result: npt.NDArray[np.uint8] = padded.numpy()
    return result


def _trace(fired: npt.NDArray[np.uint8], voltages: Int32Array | None, final: Int32Array) -> LayerTrace:
    voltage = None if voltages is None else torch.from_numpy(voltages)
    return LayerTrace(torch.from_numpy(fired), voltage, torch.from_numpy(final[0]), torch.from_numpy(final[1]))
