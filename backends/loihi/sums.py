"""Sums of the weights of spiking inputs by exact matrix products, for layers without an event-driven kernel.

Used for convolutions, delays, and all layers on a GPU. In float64, integers below 2^53 add up exactly in any order;
float32 products may use bfloat16 (autocast), TF32 or a fast convolution that rounds, depending on global settings.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.backends.loihi.program import Program
from bl_neuro.layers import Conv

HALF = 2**23


class Synapses:
    """The synapses of one layer on a device. Call with spikes (T, B, M); returns int32 sums (T, B, N)."""

    def __init__(self, program: Program, device: torch.device) -> None:
        self._program = program
        self._device = device

    @cached_property
    def _weights(self) -> dict[int, Tensor]:
        """Weights by delay, computed on first use, since many layers do not need them."""
        program = self._program
        weight = torch.as_tensor(program.weight, dtype=torch.float64, device=self._device)
        if program.delay is None:
            return {0: weight}
        delay = torch.as_tensor(program.delay, device=self._device)
        return {int(steps): weight * (delay == steps) for steps in np.unique(program.delay)}

    def __call__(self, spikes: Tensor) -> Tensor:
        """See the class. A spike delayed beyond the last time step is lost."""
        if self._program.kind == "conv":
            return self._convolved(spikes)
        values = spikes.to(torch.float64)
        total = torch.zeros((*spikes.shape[:2], self._program.size), dtype=torch.int32, device=self._device)
        for delay, weight in self._weights.items():
            if delay < len(spikes):
                sums = F.linear(values[: len(spikes) - delay], weight)
                total[delay:] += self.shifted(sums)  # each delay is rounded separately, as in Lava
        return total

    def shifted(self, sums: Tensor) -> Tensor:
        """Sums as int32, shifted right by the layer's bits."""
        return sums.to(torch.int32) >> self._program.floor_bits

    def _convolved(self, spikes: Tensor) -> Tensor:
        source = self._program.layer.source
        if not isinstance(source, Conv):
            raise TypeError("expected a convolution")
        images = spikes.reshape(-1, *self._program.input_shape).to(torch.float64)
        geometry = source.stride, source.padding, source.dilation, source.groups
        sums = F.conv2d(images, self._weights[0], None, *geometry).reshape(*spikes.shape[:2], -1)
        if self._program.largest_sum >= HALF:  # they wrap to signed 24 bits
            sums = torch.remainder(sums + HALF, 2 * HALF) - HALF
        return sums.to(torch.int32)
