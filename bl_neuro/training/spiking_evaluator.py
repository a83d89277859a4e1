"""The spiking evaluator: the convolutional network of the BrainLeaks authors, with few time steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.backends.canonical import canonical_states, differentiable
from bl_neuro.training.normalised_evaluator import NormalisedEvaluator

STEPS = 8
"""Number of time steps: longer inputs are averaged over time into as many frames, and images are held for as many
steps."""
VOLTAGE_DECAY = 0.5
SMALL = 24
"""Side below which kernels are 3x3, padded, and only the second layer is pooled."""


class SpikingEvaluator(NormalisedEvaluator):
    """Two convolutions with max pooling and leaky integrate-and-fire neurons, and a linear layer on their rates.

        from 24 pixels           12c5 - p2 - 24c5 - p2 - classes    (BrainLeaks, arXiv 2402.00906)
        otherwise                12c3 - 24c3 - p2 - classes, padded

    Takes images (B, C, H, W) as constant currents for 8 steps, or spikes (T, B, C, H, W), averaged into 8 frames if T
    is larger. Neurons: threshold 1, voltage decay 0.5, reset to zero, canonical surrogate, biases. Features: the firing
    rates of the last neurons, (B, D). Images larger than 32 pixels are first averaged over blocks.
    """

    name = "spiking"
    title = "spiking convolutional"
    spiking = True
    audits_models = True
    learning_rate = 5e-3

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape, classes)
        channels, height, width = shape
        height, width = height // self.block, width // self.block
        self.large = min(height, width) >= SMALL
        kernel, padding = (5, 0) if self.large else (3, 1)
        self.first = nn.Conv2d(channels, 12, kernel, padding=padding)
        self.second = nn.Conv2d(12, 24, kernel, padding=padding)
        sides = [((side - 4) // 2 - 4) // 2 if self.large else side // 2 for side in (height, width)]
        self.last = nn.Linear(24 * sides[0] * sides[1], classes)

    @property
    def architecture(self) -> str:
        """The layers in one line."""
        shrink = f"mean over {self.block}x{self.block} - " if self.block > 1 else ""
        layers = "12c5 - pool2 - 24c5 - pool2" if self.large else "12c3 - 24c3 - pool2"
        return f"conv {shrink}{layers} - classes, leaky integrate-and-fire, {STEPS} steps, spiking"

    def embed(self, frames: Tensor) -> Tensor:
        """See `NormalisedEvaluator.embed`."""
        if len(frames) > STEPS:
            frames = torch.stack([chunk.mean(0) for chunk in torch.tensor_split(frames, STEPS)])
        values = frames.flatten(0, 1)
        if self.block > 1:
            values = F.avg_pool2d(values, self.block)
        drive = self.first(values)
        drive = (F.max_pool2d(drive, 2) if self.large else drive).unflatten(0, frames.shape[:2])
        spikes = _fire(drive.expand(STEPS, *drive.shape[1:]) if len(frames) == 1 else drive)
        drive = F.max_pool2d(self.second(spikes.flatten(0, 1)), 2).unflatten(0, spikes.shape[:2])
        return _fire(drive).mean(0).flatten(1)

    def classify(self, features: Tensor) -> Tensor:
        """See `NormalisedEvaluator.classify`."""
        logits: Tensor = self.last(features)
        return logits


def _fire(drive: Tensor) -> Tensor:
    """Spikes (T, B, ...) of neurons driven by `drive`, differentiable with the canonical surrogate."""
    one, decay, none = (torch.full((), value, device=drive.device) for value in (1.0, VOLTAGE_DECAY, 0.0))
    states = canonical_states(drive, one, decay, one, none)
    return differentiable(drive, *states, one, decay, one, "zero")[0] if drive.requires_grad else states[0]
