"""Sums of weights x graded messages with the overflows of Lava's integers; frames without messages cost nothing.

    dense         32-bit sum of the products, then shifted, 32 bits
    with delays   32-bit products; their sum per delay is shifted, then added up in 32 bits
    convolution   float64 sum, converted to 32 bits (-2^31 where it does not fit), then wrapped to signed 24 bits

Source: lava-nc 0.10 `lava.proc.dense`, `lava.proc.conv`, as lava-dl 0.6 `netx` sets them up.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.layers import Conv, Dense, Shape

EXACT = 2**53
"""Integers below this magnitude are exact in float64."""
INT32 = 2**31
HALF = 2**23
PIECE_VALUES = 2**22
"""Number of products that are formed at a time where products overflow."""


class GradedSynapses:
    """The synapses of a layer on a device. Call with messages (T, B, M), int32; returns int32 sums (T, B, N).

    layer: with neurons of `shape` and an input of `input_shape`. weight: (N, M) as Lava stores it, or (out, in/groups,
    h, w). shift: bits by which sums are shifted right, negative to the left.
    """

    def __init__(self, layer: Dense | Conv, input_shape: Shape, shape: Shape, device: torch.device) -> None:
        weight = layer.weight.astype(np.int64)
        self._layer, self._input_shape, self._size = layer, input_shape, int(np.prod(shape))
        self.shift = 0
        if isinstance(layer, Dense):
            (weight,), self.shift = stored_together([weight])
        self.weight = torch.as_tensor(weight, device=device)
        self._largest_sum = int(np.abs(weight).reshape(len(weight), -1).sum(1).max())
        self.delays = [0]
        self.delay: Tensor | None = None
        if isinstance(layer, Dense) and layer.delay is not None:
            self.delay = torch.as_tensor(np.broadcast_to(layer.delay, weight.shape).astype(np.int64), device=device)
            self.delays = [int(steps) for steps in np.unique(layer.delay)]

    @cached_property
    def _floats(self) -> dict[int, Tensor]:
        """Weights by delay, in float64."""
        weight = self.weight.to(torch.float64)
        if self.delay is None:
            return {0: weight}
        return {steps: weight * (self.delay == steps) for steps in self.delays}

    def __call__(self, messages: Tensor) -> Tensor:
        """See the class. A message delayed beyond the last time step is lost."""
        frames = messages.reshape(-1, messages.shape[2])
        active = frames.ne(0).any(1).nonzero()[:, 0]
        chosen = frames[active]
        total = torch.zeros((*messages.shape[:2], self._size), dtype=torch.int32, device=messages.device)
        for steps in self.delays:
            if not len(chosen) or steps >= len(messages):
                continue
            sums = torch.zeros_like(total)
            sums.view(-1, self._size)[active] = self._summed(chosen, steps)
            total[steps:] += sums[: len(messages) - steps]
        return total

    def _summed(self, frames: Tensor, steps: int) -> Tensor:
        """Sums (n, N) for frames (n, M) through the synapses with a delay of `steps`."""
        if isinstance(self._layer, Conv):
            return self._convolved(self._layer, frames)
        largest = int(frames.to(torch.int64).abs().max())
        if self.delay is not None and largest * int(self.weight.abs().max()) >= INT32:
            sums = self._sums_of_wrapped_products(frames, steps)
        elif largest * self._largest_sum < EXACT:
            sums = _product(frames, self._floats[steps])
        else:
            weight = self.weight if self.delay is None else self.weight * (self.delay == steps)
            sums = frames.to(torch.int64) @ weight.T
        if self.delay is None:
            sums = sums.to(torch.int32).to(torch.int64)
        return (sums >> self.shift if self.shift >= 0 else sums << -self.shift).to(torch.int32)

    def _sums_of_wrapped_products(self, frames: Tensor, steps: int) -> Tensor:
        weight = self.weight * (self.delay == steps)
        piece = max(1, PIECE_VALUES // weight.numel())
        wrapped = [(part[:, None].to(torch.int64) * weight).to(torch.int32) for part in frames.split(piece)]
        return torch.cat([products.to(torch.int64).sum(2) for products in wrapped])

    def real_weight(self, steps: int) -> Tensor:
        """The weights of the synapses with a delay of `steps` as real numbers, sums of which are not shifted."""
        return self._floats[steps] / 2.0**self.shift

    def applied(self, messages: Tensor, weight: Tensor) -> Tensor:
        """Sums (T, B, N) of `weight` x real messages (T, B, M), without rounding and overflows."""
        layer = self._layer
        if not isinstance(layer, Conv):
            return F.linear(messages, weight)
        images = messages.reshape(-1, *self._input_shape)
        sums = F.conv2d(images, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        return sums.reshape(*messages.shape[:2], self._size)

    def _convolved(self, layer: Conv, frames: Tensor) -> Tensor:
        images = frames.reshape(-1, *self._input_shape).to(torch.float64)
        geometry = layer.stride, layer.padding, layer.dilation, layer.groups
        sums = F.conv2d(images, self._floats[0], None, *geometry).flatten(1)
        fits = (sums >= -INT32) & (sums < INT32)
        whole = torch.where(fits, sums, -float(INT32)).to(torch.int64)
        return (((whole + HALF) & (2 * HALF - 1)) - HALF).to(torch.int32)


def _product(frames: Tensor, weight: Tensor) -> Tensor:
    """Frames (n, M) times weight (N, M), in float64; columns without messages are left out if they are many."""
    columns = frames.ne(0).any(0).nonzero()[:, 0]
    if 2 * len(columns) < frames.shape[1]:
        frames, weight = frames[:, columns], weight[:, columns]
    return F.linear(frames.to(torch.float64), weight).to(torch.int64)
