"""The rate proxy: a target's weights trained as an ANN whose activation is a neuron's firing rate.

The firing rate of a neuron under constant drive I, straightened (threshold 1, dv the voltage decay):

    rate(I) = clip(z, 0, 1) + 0.01 min(z, 0),   z = (I - dv) / (1 - dv)

(the last term only keeps silent units trainable). Logits are the output layer's drive over dv. The inputs are images
with the noise of a rate code, sqrt(x (1 - x) / T), for a pixel x and T steps. One step of it costs T times less than
one through time, and the weights it finds need little or no training as spiking ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.training.stack import Stack


def proxy_loss(stack: Stack, images: npt.NDArray[Any], labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Cross-entropy of the proxy's answers to images (B, *input_shape), float32 in 0..1."""
    spread = np.sqrt(images * (1 - images) / np.float32(stack.plan.steps))
    noisy = images + spread * rng.standard_normal(images.shape, dtype=np.float32)
    return F.cross_entropy(proxy_logits(stack, torch.from_numpy(noisy).to(labels.device)), labels)


def proxy_logits(stack: Stack, values: Tensor) -> Tensor:
    """The proxy's logits (B, classes) for values (B, *input_shape)."""
    decay = stack.plan.voltage_decay
    last = len(stack.synapses) - 1
    for number in range(last):
        fraction = (stack.drive(number, values) - decay) / (1 - decay)
        values = fraction.clamp(0, 1) + 0.01 * fraction.clamp(max=0)
    return stack.drive(last, values) / decay
