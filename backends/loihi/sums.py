"""Sums of weights of the inputs that spike, by matrix products that are exact: for all that has no kernel of its own.

Convolutions, delays, and any layer on a GPU. In float64, in which whole numbers below 2^53 add up exactly in any order:
of float32 torch may make bfloat16 (autocast), TF32 or a fast convolution that rounds, as others have set it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.backends.loihi.program import Program
from bl_neuro.layers import Conv

_HALF = 2**23


class Synapses:
    """The synapses of one layer on a device. Call with spikes (T, B, M); returns int32 sums (T, B, N)."""

    def __init__(self, program: Program, device: torch.device) -> None:
        self._program = program
        self._device = device

    @cached_property
    def _weights(self) -> dict[int, Tensor]:
        """Weights by delay, made on first use: many layers never need them."""
        program = self._program
        weight = torch.as_tensor(program.weight, dtype=torch.float64, device=self._device)
        if program.delay is None:
            return {0: weight}
        delay = torch.as_tensor(program.delay, device=self._device)
        return {int(steps): weight * (delay == steps) for steps in np.unique(program.delay)}

    def __call__(self, spikes: Tensor) -> Tensor:
        """See the class. A spike that a delay carries beyond the last step is lost."""
        if self._program.kind == "conv":
            return self._convolved(spikes)
        values = spikes.to(torch.float64)
        total = torch.zeros((*spikes.shape[:2], self._program.size), dtype=torch.int32, device=self._device)
        for delay, weight in self._weights.items():
            if delay < len(spikes):
                sums = F.linear(values[: len(spikes) - delay], weight)
                total[delay:] += self.shifted(sums)  # each delay is rounded by itself, as in Lava
        return total

    def shifted(self, sums: Tensor) -> Tensor:
        """Sums as int32, shifted right by the layer's bits."""
        return sums.to(torch.int32) >> self._program.floor_bits

    def _convolved(self, spikes: Tensor) -> Tensor:
        source = self._program.layer.source
        if not isinstance(source, Conv):
            raise TypeError("not a convolution")
        images = spikes.reshape(-1, *self._program.input_shape).to(torch.float64)
        geometry = source.stride, source.padding, source.dilation, source.groups
        sums = F.conv2d(images, self._weights[0], None, *geometry).reshape(*spikes.shape[:2], -1)
        if self._program.largest_sum >= _HALF:  # they wrap to signed 24 bits
            sums = torch.remainder(sums + _HALF, 2 * _HALF) - _HALF
        return sums.to(torch.int32)
