"""The canonical surrogate gradient through the states of the emulator, so that v1 attacks the deployed arithmetic."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.backends.canonical import differentiable
from bl_neuro.backends.loihi.program import LayerTrace, Program
from bl_neuro.backends.target import Response
from bl_neuro.layers import Conv
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network


def with_gradient(
    network: Network, programs: list[Program], traces: list[LayerTrace], inputs: Tensor, lead: int, layers: bool
) -> Response:
    """The recorded response as a differentiable function of `inputs` (T, B, *input_shape).

    In the units of the network: each row of integer weights is divided by its scale, and thresholds are the original
    ones. Rounding of sums and states has no gradient of its own; it enters through the recorded states.
    """
    steps = inputs.shape[0]
    values = inputs.flatten(2)
    membrane = values
    recorded = []
    for program, trace in zip(programs, traces):
        drive = _drive(program, values)
        if lead and program.kind != "input":
            drive = torch.cat([torch.zeros_like(drive[:lead]), drive])
        values, membrane = _fired(program, trace, drive)
        shape = network.output_shape if program is programs[-1] else program.shape
        recorded.append(values[-steps:].reshape(steps, -1, *shape))
    last = recorded[-1]
    return Response(last, membrane[-steps:].reshape(last.shape), recorded if layers else None)


def _fired(program: Program, trace: LayerTrace, drive: Tensor) -> tuple[Tensor, Tensor]:
    if trace.voltage is None:
        raise RuntimeError("a layer's voltages were not recorded")
    membrane = trace.voltage[..., : program.size].to(drive.device, drive.dtype) / program.membrane_unit
    spikes = trace.spikes[..., : program.size].to(drive.device, drive.dtype)
    decays = [
        1 - torch.as_tensor(keep, dtype=drive.dtype, device=drive.device) / DECAY_ONE
        for keep in (program.keep_current, program.keep_voltage)
    ]
    thresholds = program.layer.source.neuron.expanded("threshold", program.shape).reshape(-1)
    threshold = torch.as_tensor(np.where(thresholds > 0, thresholds, 1.0), dtype=drive.dtype, device=drive.device)
    recurrent = None
    if program.recurrent is not None:
        weight = program.recurrent / _scale(program, 2)
        recurrent = torch.as_tensor(weight, dtype=drive.dtype, device=drive.device)
    return differentiable(drive, spikes, membrane, decays[0], decays[1], threshold, "zero", recurrent)


def _scale(program: Program, axes: int) -> FloatArray:
    """What the integers of each row of weights are divided by, in the units of the network."""
    scale: FloatArray = program.layer.row_scale.reshape(-1, *[1] * (axes - 1)) * 2.0**program.floor_bits
    return scale


def _drive(program: Program, values: Tensor) -> Tensor:
    """Sums of weights (T, B, N) as a differentiable function of spikes (T, B, M)."""
    source = program.layer.source
    if program.weight is None:
        gain = np.array(program.gain)  # a copy, since torch needs a writable array
        return values * torch.as_tensor(gain, dtype=values.dtype, device=values.device)
    weight = torch.as_tensor(
        program.weight / _scale(program, program.weight.ndim), dtype=values.dtype, device=values.device
    )
    if isinstance(source, Conv):
        images = values.reshape(-1, *program.input_shape)
        sums = F.conv2d(images, weight, None, source.stride, source.padding, source.dilation, source.groups)
        return sums.reshape(*values.shape[:2], -1)
    if program.delay is None:
        return F.linear(values, weight)
    delay = torch.as_tensor(program.delay, device=values.device)
    total = torch.zeros((*values.shape[:2], program.size), dtype=values.dtype, device=values.device)
    for late in delay.unique().tolist():
        if late < len(values):
            arrived = F.linear(values[: len(values) - late], weight * (delay == late))
            total = total + F.pad(arrived, (0, 0, 0, 0, late, 0))
    return total
