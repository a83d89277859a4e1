"""The ANN twin of a target of large images, trained as the BrainLeaks authors do: Adam without weight decay.

With 31 million weights a general loop spends its time in passes over memory. Here the gradient of the two layers is
written out into memory that is kept, and Adam takes one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import AnnTwin

PURPOSE = "train face twin"
FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""Adam's."""


@numba.njit(fastmath=True)
def adam(weights: Any, gradient: Any, mean: Any, square: Any, rate: float, correction: float) -> None:
    """One step on flat float32 arrays, in place. correction: the square root of 1 - SECOND^t."""
    first, second, epsilon = np.float32(FIRST), np.float32(SECOND), np.float32(EPSILON)
    one, size, scale = np.float32(1.0), np.float32(rate), np.float32(correction)
    for place in range(len(weights)):
        slope = gradient[place]
        average = first * mean[place] + (one - first) * slope
        spread = second * square[place] + (one - second) * slope * slope
        mean[place], square[place] = average, spread
        weights[place] -= size * average / (np.sqrt(spread) / scale + epsilon)


@dataclass(frozen=True)
class FaceTwin:
    """How it is trained: cross-entropy, `epochs` in batches of `batch`; the rate falls from `rate` along a cosine."""

    epochs: int
    rate: float
    batch: int

    def train(self, data: Any, hidden: int, seed: int) -> AnnTwin:
        """The twin of a seed, in - hidden - classes."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, PURPOSE))
            twin = AnnTwin(data.input_shape, (hidden,), data.classes)
        images = torch.from_numpy(data.images).float().flatten(1)
        labels = torch.from_numpy(data.labels)
        parameters = [value.detach() for layer in twin.layers for value in (layer.weight, layer.bias)]
        gradients, means, squares = ([torch.zeros_like(value) for value in parameters] for _ in range(3))
        a_epoch = -(-len(labels) // self.batch)
        for step in range(self.epochs * a_epoch):
            if step % a_epoch == 0:
                order = torch.from_numpy(stream(seed, PURPOSE, step).permutation(len(labels)))
            part = order[step % a_epoch :: a_epoch]
            slopes(parameters, images[part], labels[part], gradients)
            rate = self.rate * 0.5 * (1 + math.cos(math.pi * step / (self.epochs * a_epoch)))
            one, other = 1 - FIRST ** (step + 1), math.sqrt(1 - SECOND ** (step + 1))
            for group in zip(parameters, gradients, means, squares):
                flat: list[Any] = [value.numpy().reshape(-1) for value in group]
                adam(*flat, rate / one, other)  # type: ignore[call-arg]
        return twin.eval()


def slopes(parameters: list[Tensor], images: Tensor, labels: Tensor, into: list[Tensor]) -> None:
    """The gradient of the mean cross-entropy of a batch, into the tensors given."""
    weight, bias, last, last_bias = parameters
    values = torch.sigmoid(torch.addmm(bias, images, weight.T))
    error = torch.softmax(torch.addmm(last_bias, values, last.T), dim=1)
    error[torch.arange(len(labels)), labels] -= 1.0
    error /= len(labels)
    inner = (error @ last) * values * (1 - values)
    torch.mm(inner.T, images, out=into[0])
    torch.sum(inner, dim=0, out=into[1])
    torch.mm(error.T, values, out=into[2])
    torch.sum(error, dim=0, out=into[3])
