"""The canonical surrogate gradient, applied to the states that a substrate computed.

    dS/dv = 1 / (1 + k |v - threshold| / threshold)^2,   k = 25,   reset detached

The forward pass is the substrate's own; only the recorded states enter here. With m = v / threshold, the gradient runs
backward through u[t] = (1-du) u[t-1] + x[t] and v[t] = (1-dv) v[t-1] + u[t], and through recurrent synapses, by which
s[t-1] is part of x[t]; the factor that a reset applies to the state is treated as a constant. Gradients of two
substrates therefore differ only by the states they computed, not by the library that differentiates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bl_neuro.neuron import TIE, Reset

SLOPE = 25.0
"""Slope k of the surrogate: a larger value makes it narrower around the threshold."""


def surrogate(membrane: Tensor, slope: float = SLOPE) -> Tensor:
    """dS/dv at membrane = v / threshold: in (0, 1], with its maximum at the threshold."""
    return (membrane - 1.0).abs_().mul_(slope).add_(1.0).square_().reciprocal_()


def differentiable(
    drive: Tensor,
    spikes: Tensor,
    membrane: Tensor,
    current_decay: Tensor,
    voltage_decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    recurrent: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`spikes` and `membrane` (T, B, ...) as functions of `drive`, the synaptic input, with the canonical gradient.

    drive: without the input from recurrent synapses. recurrent: the weights (N, N) of these, or None.
    """
    result: tuple[Tensor, Tensor] = _Canonical.apply(  # type: ignore[no-untyped-call]  # torch has no types for it
        drive, spikes, membrane, current_decay, voltage_decay, threshold, reset, recurrent
    )
    return result


class _Canonical(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        spikes: Tensor,
        membrane: Tensor,
        current_decay: Tensor,
        voltage_decay: Tensor,
        threshold: Tensor,
        reset: Reset,
        recurrent: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(spikes, membrane, current_decay, voltage_decay, threshold)
        ctx.reset, ctx.recurrent = reset, recurrent
        return spikes, membrane

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        from_spikes, from_membrane = gradients
        spikes, membrane, current_decay, voltage_decay, threshold = ctx.saved_tensors
        keep_current, keep_voltage = 1.0 - current_decay, 1.0 - voltage_decay
        filtered = bool(keep_current.any())
        to_drive = torch.empty_like(membrane)
        voltage = torch.zeros_like(membrane[0])  # gradient arriving at v[t], first from v[t+1]
        current = torch.zeros_like(voltage)
        for step in range(len(membrane) - 1, -1, -1):  # one step at a time, in place: stays in cache
            if ctx.reset == "zero":
                voltage.addcmul_(voltage, spikes[step], value=-1.0)
            voltage.mul_(keep_voltage)
            to_spikes = None if from_spikes is None else from_spikes[step]
            if ctx.recurrent is not None and step + 1 < len(membrane):
                through_loop = to_drive[step + 1] @ ctx.recurrent
                to_spikes = through_loop if to_spikes is None else to_spikes + through_loop
            if to_spikes is not None:
                voltage.addcmul_(to_spikes, surrogate(membrane[step]))
            if from_membrane is not None:
                voltage.add_(from_membrane[step] / threshold)
            to_drive[step] = current.mul_(keep_current).add_(voltage) if filtered else voltage
        return to_drive, None, None, None, None, None, None, None


def canonical_states(
    drive: Tensor, current_decay: Tensor, voltage_decay: Tensor, threshold: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Spikes and membrane (T, B, ...) of the canonical neuron (reset to zero) in plain torch, without gradient."""
    drive = drive.detach()
    keep_current, keep_voltage = 1.0 - current_decay, 1.0 - voltage_decay
    current = torch.zeros_like(drive[0])
    voltage = torch.zeros_like(current)
    spikes, membranes = torch.empty_like(drive), torch.empty_like(drive)
    for step, inputs in enumerate(drive):
        current = keep_current * current + inputs
        voltage = keep_voltage * voltage + (current + bias)
        fired = voltage > threshold * (1.0 + TIE)
        spikes[step] = fired
        membranes[step] = voltage / threshold
        voltage = voltage.masked_fill(fired, 0.0)
    return spikes, membranes
