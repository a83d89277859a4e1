"""Weights to start training through time from: each layer scaled so that some of its neurons fire."""

from __future__ import annotations

import torch
from torch import Tensor

from bl_neuro.training.bptt import fire
from bl_neuro.training.stack import Stack

RATE = 0.03
"""Mean firing rate, spikes a step, that a layer is scaled to. Events are sparse: drawn weights alone stay silent."""
GAINS = (2.0**-5, 2.0**8)
"""Scales between which it is looked for."""
HALVINGS = 12


def scale_to_rates(stack: Stack, spikes: Tensor) -> None:
    """Scales the weights of each layer, in order, so that it fires at `RATE` on input `spikes` (T, B, *input_shape).

    The drive of no layer is made to spread by more than a threshold about its mean where it is not 0: a layer that many
    inputs never reach fires less.
    """
    values = spikes
    with torch.no_grad():
        for number, synapse in enumerate(stack.synapses):
            drive = stack.drive(number, values.flatten(0, 1)).unflatten(0, spikes.shape[:2])
            gain = _gain(stack, drive)
            synapse.weight.mul_(gain)
            values = fire(stack, drive * gain)[0]


def _gain(stack: Stack, drive: Tensor) -> float:
    driven = drive[drive != 0]
    most = 1.0 / max(float(driven.std()), 1e-6) if len(driven) > 1 else 1.0
    low, high = GAINS
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if float(fire(stack, drive * middle)[0].mean()) < RATE:
            low = middle
        else:
            high = middle
    return min(low, most)
