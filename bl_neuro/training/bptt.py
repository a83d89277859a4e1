"""Backpropagation through time with the target's own neurons and the canonical surrogate gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.backends.canonical import canonical_states, differentiable
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.stack import Stack

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Spikes and membrane (T, B, classes) of the output for input spikes (T, B, *input_shape)."""
LOGITS_OF_RATES = 10.0
"""Factor between firing rates of the output, 0..1, and logits."""


def spiking_loss(fired: Tensor, membrane: Tensor, labels: Tensor, membrane_loss: float) -> Tensor:
    """Cross-entropy of the output rates, plus that of the membrane at every step times `membrane_loss`.

    fired, membrane: (T, B, classes).
    """
    loss = F.cross_entropy(fired.mean(0) * LOGITS_OF_RATES, labels)
    if membrane_loss:
        loss = loss + membrane_loss * F.cross_entropy(membrane.flatten(0, 1), labels.repeat(len(membrane)))
    return loss


def spiking_forward(stack: Stack, spikes: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and membrane (T, B, classes) of the output for input spikes (T, B, *input_shape)."""
    values = membrane = spikes
    for number in range(len(stack.synapses)):
        drive = stack.drive(number, values.flatten(0, 1))
        values, membrane = fire(stack.plan, drive.unflatten(0, spikes.shape[:2]))
    return values, membrane


def fire(design: TargetDesign, drive: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and membrane (T, B, ...) of the neurons of a design, driven by `drive`."""
    one, none = torch.ones((), device=drive.device), torch.zeros((), device=drive.device)
    decay = none + design.voltage_decay
    neuron = design.cuba_lif()
    if neuron.reset == "zero":
        spikes, membrane = canonical_states(drive, one, decay, one, none)
    else:
        spikes, membrane = _delayed_states(drive.detach(), 1.0 - decay)
    if not drive.requires_grad:
        return spikes, membrane
    return differentiable(drive, spikes, membrane, one, decay, one, neuron.reset)


def _delayed_states(drive: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and membrane (T, B, ...) of neurons whose spikes lower the next step's voltage by the threshold, 1."""
    voltage = torch.zeros_like(drive[0])
    fired = torch.zeros_like(voltage)
    spikes, membranes = torch.empty_like(drive), torch.empty_like(drive)
    for step, inputs in enumerate(drive):
        voltage = keep * voltage + inputs - fired
        fired = (voltage > 1.0).to(drive.dtype)
        spikes[step], membranes[step] = fired, voltage
    return spikes, membranes
