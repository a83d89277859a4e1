"""The convolutional evaluator, which does not spike."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.training.normalised_evaluator import NormalisedEvaluator

LARGE = 16
"""Side in pixels from which the first convolution is followed by pooling too."""


class ConvEvaluator(NormalisedEvaluator):
    """Two convolutions with ReLU and pooling, one hidden layer with dropout 0.3, a linear layer.

        below 16 pixels           16c3 - 32c3 - p2 - 64 - classes
        otherwise                 16c5 - p2 - 32c3 - p2 - 128 - classes

    Takes images (B, C, H, W), or the mean over time of spikes (T, B, C, H, W). Features: the hidden layer, (B, 64) or
    (B, 128). Images larger than 32 pixels are first averaged over blocks.
    """

    name = "conv"
    title = "convolutional"
    spiking = False
    audits_models = True
    learning_rate = 2e-3

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape, classes)
        channels, height, width = shape
        height, width = height // self.block, width // self.block
        self.large = min(height, width) >= LARGE
        kernel, pools, hidden = (5, 4, 128) if self.large else (3, 2, 64)
        self.first = nn.Conv2d(channels, 16, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * (height // pools) * (width // pools), hidden)
        self.last = nn.Linear(hidden, classes)

    @classmethod
    def file_name(cls) -> str:
        """See `ImageEvaluator.file_name`: the evaluator that is trained by default."""
        return "evaluator.safetensors"

    @property
    def architecture(self) -> str:
        """The layers in one line."""
        first = "16c5 - pool2" if self.large else "16c3"
        shrink = f"mean over {self.block}x{self.block} - " if self.block > 1 else ""
        return f"conv {shrink}{first} - 32c3 - pool2 - {self.hidden.out_features} - classes, ReLU, not spiking"

    def embed(self, frames: Tensor) -> Tensor:
        """See `NormalisedEvaluator.embed`."""
        values = frames.mean(0)
        if self.block > 1:
            values = F.avg_pool2d(values, self.block)
        values = F.relu(self.first(values))
        values = F.max_pool2d(values, 2) if self.large else values
        values = F.max_pool2d(F.relu(self.second(values)), 2)
        return F.relu(self.hidden(values.flatten(1)))

    def classify(self, features: Tensor) -> Tensor:
        """See `NormalisedEvaluator.classify`."""
        logits: Tensor = self.last(F.dropout(features, 0.3, self.training))
        return logits
