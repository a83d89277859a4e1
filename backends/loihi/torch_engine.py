"""The emulator in plain torch integers, on any device: used on GPUs, and a readable reference of the kernels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bl_neuro.backends.loihi.program import FRACTION_BITS, Program
from bl_neuro.backends.loihi.sums import Synapses

_LIMIT = 2**23


class RecordedTrace(NamedTuple):
    """Recording of one layer; see `program.LayerTrace`."""

    spikes: Tensor
    voltage: Tensor | None
    current: Tensor
    final_voltage: Tensor


class TorchEngine:
    """Runs programs on a torch device."""

    def __init__(self, programs: list[Program], device: torch.device) -> None:
        self._programs = programs
        self._synapses = [Synapses(program, device) for program in programs]
        self._device = device

    def run(self, inputs: Tensor, lead: int, records: list[bool]) -> list[RecordedTrace]:
        """See `KernelEngine.run`."""
        values = inputs.to(self._device)
        traces = []
        for program, synapses, record in zip(self._programs, self._synapses, records):
            if program.kind == "input":
                sums, layer_lead = values, 0
            else:
                sums, layer_lead = synapses(values), lead
            traces.append(self._neurons(program, synapses, sums, layer_lead, record))
            values = traces[-1].spikes
        return traces

    def _neurons(self, program: Program, synapses: Synapses, sums: Tensor, lead: int, record: bool) -> RecordedTrace:
        steps, batch = sums.shape[0] + lead, sums.shape[1]
        keep_current, keep_voltage, bias = (
            torch.as_tensor(values, device=self._device)
            for values in (program.keep_current, program.keep_voltage, program.bias)
        )
        recurrent = None
        if program.recurrent is not None:
            recurrent = torch.as_tensor(program.recurrent, dtype=torch.float64, device=self._device)
        current = torch.zeros((batch, program.size), dtype=torch.int64, device=self._device)
        voltage = torch.zeros_like(current)
        fired = torch.zeros((steps, batch, program.size), dtype=torch.uint8, device=self._device)
        voltages = torch.empty(fired.shape, dtype=torch.int32, device=self._device) if record else None
        for step in range(steps):
            total = sums[step - lead].to(torch.int64) if step >= lead else torch.zeros_like(current)
            if recurrent is not None and step > 0:
                total = total + synapses.shifted(fired[step - 1].to(torch.float64) @ recurrent.T)
            current = _wrapped(_int32(_decayed(current, keep_current) + (total << FRACTION_BITS)))
            voltage = _int32(_decayed(voltage, keep_voltage) + current + bias).clamp(1 - _LIMIT, _LIMIT - 1)
            spikes = voltage > program.threshold
            fired[step] = spikes
            if voltages is not None:
                voltages[step] = voltage
            voltage = voltage.masked_fill(spikes, 0)
        return RecordedTrace(fired, voltages, current.to(torch.int32), voltage.to(torch.int32))


def _decayed(state: Tensor, keep: Tensor) -> Tensor:
    """Returns state keep / 4096, rounded toward zero."""
    return state.sign() * ((state.abs() * keep) >> 12)


def _int32(values: Tensor) -> Tensor:
    """The int64 values wrapped to Lava's 32 bits."""
    return values.to(torch.int32).to(torch.int64)


def _wrapped(current: Tensor) -> Tensor:
    return current - 2 * _LIMIT * (current > _LIMIT).long() + 2 * _LIMIT * (current <= -_LIMIT).long()
