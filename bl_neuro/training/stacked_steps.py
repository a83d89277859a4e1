"""Training steps of several fully connected stacks at once, with hand-written gradients.

The weights of all members are stacked, and every product is one batched product. A member gets the same weights, bit
for bit, as from the autograd implementation in `bl_neuro.training.stack` and `bl_neuro.training.bptt` with one thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.canonical import SLOPE
from bl_neuro.training.bptt import LOGITS_OF_RATES
from bl_neuro.training.fit import CLIP
from bl_neuro.training.fused_kernels import (
    adamw_moments,
    adamw_weights,
    fire,
    hidden_gradient,
    output_gradient,
    proxy_activation,
    proxy_gradient,
)
from bl_neuro.training.plans import TargetDesign

STEEPNESS = np.float32(SLOPE)
FIRST, SECOND = 0.9, 0.999
"""AdamW's decay rates, as in PyTorch."""
Moments = tuple[Tensor, Tensor]
"""AdamW's moving averages of the gradient and of its square."""


class StackedSteps:
    """Weights of M members, and one training step of all of them.

    weights: of each layer, (M, out, in), float32; they are changed in place, as are their moments. step: number of
    steps that the moments have seen.
    """

    def __init__(self, weights: Sequence[Tensor], moments: Sequence[Moments], step: int, design: TargetDesign) -> None:
        self.weights, self.moments, self.step = list(weights), list(moments), step
        self.gradients = [torch.empty_like(weight) for weight in weights]
        self.members = weights[0].shape[0]
        self.decay = design.voltage_decay
        self._keep = np.float32(1.0) - np.float32(design.voltage_decay)
        self._place, self._span = np.float32(design.voltage_decay), np.float32(1 - design.voltage_decay)

    def proxy_gradients(self, values: Tensor, labels: Tensor) -> None:
        """Gradients of the rate proxy. values (M, B, in), labels (M, B)."""
        inputs, fractions = [values], []
        for weight in self.weights[:-1]:
            fractions.append(product(inputs[-1], weight.transpose(1, 2)))
            inputs.append(torch.empty_like(fractions[-1]))
            proxy_activation(_flat(fractions[-1]), _flat(inputs[-1]), self._place, self._span)
        logits = product(inputs[-1], self.weights[-1].transpose(1, 2)) / self.decay
        gradient = entropy_gradient(logits, labels, 1.0) / self.decay
        for number in range(len(self.weights) - 1, -1, -1):
            self._weight_gradient(number, gradient, inputs[number])
            if number:
                gradient = product(gradient, self.weights[number])
                proxy_gradient(_flat(gradient), _flat(fractions[number - 1]), self._span)

    def spiking_gradients(self, spikes: Tensor, labels: Tensor, membrane_loss: float) -> None:
        """Gradients of the spiking networks. spikes (M, T, B, in), labels (M, B)."""
        steps, samples = spikes.shape[1:3]
        rows = (self.members, steps * samples)
        inputs, membranes = [spikes.reshape(*rows, -1)], []
        for weight in self.weights:
            membranes.append(product(inputs[-1], weight.transpose(1, 2)))
            inputs.append(torch.empty_like(membranes[-1]))
            fire(_steps(membranes[-1], steps), _steps(inputs[-1], steps), self._keep)
        gradient = self._output_gradient(membranes[-1], inputs[-1], steps, labels, membrane_loss)
        for number in range(len(self.weights) - 1, -1, -1):
            self._weight_gradient(number, gradient, inputs[number])
            if number:
                gradient = product(gradient, self.weights[number])
                states = (membranes[number - 1], inputs[number])
                hidden_gradient(*(_steps(value, steps) for value in (gradient, *states)), self._keep, STEEPNESS)

    def update(self, rate: float, weight_decay: float) -> None:
        """Clips the gradients of each member and takes one step of AdamW."""
        self.step += 1
        norms = torch._foreach_norm([part for gradient in self.gradients for part in gradient])
        total = torch.linalg.vector_norm(torch.stack(norms).view(len(self.gradients), -1), dim=0)
        scales = torch.clamp(CLIP / (total + 1e-6), max=1.0).numpy()
        rates = (np.float32(1 - FIRST), np.float32(SECOND), np.float32(1 - SECOND))
        shrink, correction = np.float32(1 - rate * weight_decay), np.float32(math.sqrt(1 - SECOND**self.step))
        size = np.float32(-rate / (1 - FIRST**self.step))
        for weight, gradient, (mean, square) in zip(self.weights, self.gradients, self.moments):
            adamw_moments(*(value.flatten(1).numpy() for value in (gradient, mean, square)), scales, *rates)
            root = torch.sqrt(square)  # PyTorch rounds roots differently from a compiled kernel
            adamw_weights(_flat(weight), _flat(mean), _flat(root), shrink, correction, size)

    def _weight_gradient(self, number: int, gradient: Tensor, values: Tensor) -> None:
        """The gradient of the weights of a layer, from that of its drive and from its inputs."""
        product(gradient.transpose(1, 2), values, self.gradients[number])

    def _output_gradient(
        self, membrane: Tensor, spikes: Tensor, steps: int, labels: Tensor, membrane_loss: float
    ) -> Tensor:
        """The gradient with respect to the drive of the output neurons, (M, T * B, classes)."""
        rates = spikes.view(self.members, steps, *labels.shape[1:], -1).mean(1)
        from_rates = entropy_gradient(rates * LOGITS_OF_RATES, labels, 1.0) * LOGITS_OF_RATES / steps
        if membrane_loss:
            gradient = entropy_gradient(membrane, labels.repeat(1, steps), membrane_loss)
        else:
            gradient = torch.zeros_like(membrane)
        states = (_steps(value, steps) for value in (gradient, membrane, spikes))
        output_gradient(from_rates.flatten(1).numpy(), *states, self._keep, STEEPNESS)
        return gradient


def product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of the matrices of each member, (M, rows, columns), with the bits of one product per member."""
    members = left.shape[0]
    if out is None:
        out = left.new_empty(members, left.shape[1], right.shape[2])
    if members == 1:
        torch.mm(left[0], right[0], out=out[0])
    elif _sums_alike(min(members, CHECKED), left.shape[1:], left.stride(), right.shape[1:], right.stride()):
        torch.bmm(left, right, out=out)
    else:
        for one, other, result in zip(left, right, out):
            result.copy_(torch.mm(_own(one), _own(other)))
    return out


CHECKED = 16
"""Number of members after which the alignment of their matrices in memory repeats."""


@lru_cache(maxsize=1024)
def _sums_alike(
    members: int,
    left_shape: tuple[int, ...],
    left_strides: tuple[int, ...],
    right_shape: tuple[int, ...],
    right_strides: tuple[int, ...],
) -> bool:
    """Whether batched products of these shapes have the bits of single products: a library may sum in another order."""
    generator = torch.Generator().manual_seed(0)

    def drawn(shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        return torch.empty_strided((members, *shape), strides).normal_(generator=generator)

    left, right = drawn(left_shape, left_strides), drawn(right_shape, right_strides)
    single = [torch.mm(_own(one), _own(other)) for one, other in zip(left, right)]
    return torch.equal(torch.bmm(left, right), torch.stack(single))


def _own(matrix: Tensor) -> Tensor:
    """A copy in memory of its own, with the same layout: sums may depend on the alignment."""
    return matrix.clone(memory_format=torch.preserve_format)


def entropy_gradient(logits: Tensor, labels: Tensor, scale: float) -> Tensor:
    """The gradient of `scale` times each member's mean cross-entropy. logits (M, B, classes), labels (M, B)."""
    scores = torch.log_softmax(logits.flatten(0, 1), 1)
    slope = -float(np.float32(scale) / np.float32(labels.shape[1]))
    gradient = torch.zeros_like(scores).scatter_(1, labels.reshape(-1, 1), slope)
    return torch._log_softmax_backward_data(gradient, scores, 1, scores.dtype).view(logits.shape)


def _flat(values: Tensor) -> object:
    return values.view(-1).numpy()


def _steps(values: Tensor, steps: int) -> object:
    """Values (M, T * B, neurons) as an array (M, T, B * neurons)."""
    return values.view(values.shape[0], steps, -1).numpy()
