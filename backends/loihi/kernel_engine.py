"""The emulator on the CPU: runs a network's layers one after another on spikes that are packed in bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.loihi.kernel_layers import Bits, Frames, KernelLayer, NeuronLayer, kernel_layer
from bl_neuro.backends.loihi.packing import packed
from bl_neuro.backends.loihi.program import LayerTrace, Program

PACKED_DTYPES = (torch.bool, torch.uint8, torch.int8, torch.float32, torch.float64)
"""Dtypes of spikes that are packed as they are."""


def pack(spikes: Tensor) -> tuple[Frames, bool]:
    """Spikes (T, B, ...), a frame that is expanded over time once, and whether every value is 0 or 1."""
    steps = spikes.shape[0]
    constant = steps > 1 and spikes.stride(0) == 0
    values = (spikes[:1] if constant else spikes).flatten(2).contiguous()
    if values.dtype not in PACKED_DTYPES:
        raise TypeError(f"expected spikes of {', '.join(map(str, PACKED_DTYPES))}, found {values.dtype}")
    if values.dtype in (torch.bool, torch.int8):
        values = values.view(torch.uint8)
    words, valid = packed(values.numpy())
    return Frames(words, steps), valid


class KernelEngine:
    """Runs programs on the CPU, in one thread per call. Concurrent calls from several threads are safe."""

    def __init__(self, programs: list[Program]) -> None:
        self._first: NeuronLayer | None = None
        self._layers: list[KernelLayer] = []
        bits = Bits.in_order(int(np.prod(programs[0].input_shape)))
        for program in programs:
            if program.kind == "input":
                self._first = NeuronLayer(program)
                bits = self._first.bits
            else:
                self._layers.append(kernel_layer(program, bits))
                bits = self._layers[-1].bits

    def run(self, inputs: Frames | Tensor, lead: int, records: list[bool]) -> list[LayerTrace]:
        """The traces of all layers for packed spikes, or for int32 drive (T, B, M) if the first layer is Input.

        lead: time steps that each layer with synapses runs on its biases before its first input; its trace is longer
        than its input by as many steps. records: whether to record voltages, for each layer.
        """
        traces: list[LayerTrace] = []
        if isinstance(inputs, Tensor):
            if self._first is None:
                raise TypeError("expected spikes, found a drive")
            trace = self._first.run_on(inputs.numpy(), 0, records[0])
            traces.append(trace)
            frames = trace.frames
        else:
            frames = inputs
        for layer in self._layers:
            trace = layer.run(frames, lead, records[len(traces)])
            traces.append(trace)
            frames = trace.frames
        return traces
