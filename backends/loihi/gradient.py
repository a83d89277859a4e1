"""The canonical surrogate gradient through the states of the emulator, so that v1 attacks the deployed arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

from bl_neuro.arrays import FloatArray
from bl_neuro.backends.canonical import differentiable
from bl_neuro.backends.loihi.program import LayerTrace, Program
from bl_neuro.backends.target import Response
from bl_neuro.layers import Conv
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network

CHUNK = 64
"""Images whose patches are held at a time, which bounds the memory that they take."""


class Differentiator:
    """Makes recorded responses of a network differentiable. Keeps the weights in each floating-point type asked for."""

    def __init__(self, network: Network, programs: list[Program]) -> None:
        self._network = network
        self._programs = programs
        self._weights: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}

    def response(self, traces: Sequence[LayerTrace], inputs: Tensor, lead: int, layers: bool) -> Response:
        """The recorded response as a differentiable function of `inputs` (T, B, *input_shape).

        In the units of the network: each row of integer weights is divided by its scale, and thresholds are the
        original ones. Rounding of sums and states has no gradient of its own; it enters through the recorded states.
        """
        steps = inputs.shape[0]
        values = inputs.flatten(2)
        membrane = values
        recorded = []
        for number, (program, trace) in enumerate(zip(self._programs, traces)):
            drive = self._drive(number, values)
            if lead and program.kind != "input":
                drive = torch.cat([torch.zeros_like(drive[:lead]), drive])
            values, membrane = _fired(program, trace, drive)
            shape = self._network.output_shape if program is self._programs[-1] else program.shape
            recorded.append(values[-steps:].reshape(steps, -1, *shape))
        last = recorded[-1]
        return Response(last, membrane[-steps:].reshape(last.shape), recorded if layers else None)

    def _drive(self, number: int, values: Tensor) -> Tensor:
        """A layer's drive (T, B, N) as a function of spikes (T, B, M), whose own value is not computed."""
        key = number, values.dtype, values.device
        if key not in self._weights:
            self._weights[key] = _real_weights(self._programs[number], values)
        drive: Tensor = _Synapses.apply(  # type: ignore[no-untyped-call]  # torch has no types for it
            values, self._programs[number], self._weights[key]
        )
        return drive


def _real_weights(program: Program, like: Tensor) -> Tensor:
    """Weights in the units of the network, or the gain of input neurons."""
    if program.weight is None:
        return torch.as_tensor(np.array(program.gain), dtype=like.dtype, device=like.device)
    weight = program.weight / _scale(program, program.weight.ndim)
    return torch.as_tensor(weight, dtype=like.dtype, device=like.device)


class _Synapses(torch.autograd.Function):
    """The derivative of a layer's sums of weights. Their value is not needed: the recorded states hold it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, program: Program, weight: Tensor) -> Tensor:
        ctx.program, ctx.weight = program, weight
        return values.new_zeros(1).expand(*values.shape[:2], program.size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _transposed(ctx.program, ctx.weight, gradients[0]), None, None


def _transposed(program: Program, weight: Tensor, gradient: Tensor) -> Tensor:
    """The gradient (T, B, N) of a layer's sums at its input, (T, B, M)."""
    source = program.layer.source
    if program.weight is None:
        return gradient * weight
    if isinstance(source, Conv):
        images = (len(gradient) * gradient.shape[1], *program.input_shape)
        sums = gradient.reshape(images[0], *program.shape)
        if images[1] == 1:
            at_input = _one_channel(source, images, weight, sums)
        else:
            geometry = source.stride, source.padding, source.dilation, source.groups
            at_input = conv2d_input(images, weight, sums, *geometry)
        flat: Tensor = at_input.reshape(*gradient.shape[:2], -1)
        return flat
    if program.delay is None:
        return gradient @ weight
    delay = torch.as_tensor(program.delay, device=gradient.device)
    total = gradient.new_zeros(*gradient.shape[:2], weight.shape[1])
    for late in delay.unique().tolist():
        if late < len(gradient):
            arrived = gradient[late:] @ (weight * (delay == late))
            total = total + F.pad(arrived, (0, 0, 0, 0, 0, late))
    return total


def _one_channel(source: Conv, images: tuple[int, ...], weight: Tensor, sums: Tensor) -> Tensor:
    """`conv2d_input` for inputs of one channel, where a product and a sum over patches take a third of its time."""
    patches = weight.flatten(1).t()
    parts = [
        F.fold(patches @ part.flatten(2), images[2:], weight.shape[2:], source.dilation, source.padding, source.stride)
        for part in sums.split(CHUNK)
    ]
    return torch.cat(parts)


def _fired(program: Program, trace: LayerTrace, drive: Tensor) -> tuple[Tensor, Tensor]:
    if trace.voltage is None:
        raise RuntimeError("a layer's voltages were not recorded")
    membrane = trace.voltage.to(drive.device, drive.dtype) / program.membrane_unit
    spikes = trace.spikes.to(drive.device, drive.dtype)
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
