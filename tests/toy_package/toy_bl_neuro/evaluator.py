"""An evaluator of one linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from bl_neuro.training.normalised_evaluator import NormalisedEvaluator


class ToyLinear(NormalisedEvaluator):
    """Softmax regression on normalised images."""

    name = "toy_linear"
    title = "toy linear"
    spiking = False
    learning_rate = 1e-2

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape, classes)
        self.linear = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    @property
    def architecture(self) -> str:
        """See `ImageEvaluator.architecture`."""
        return "toy linear - classes, not spiking"

    def embed(self, frames: Tensor) -> Tensor:
        """See `NormalisedEvaluator.embed`."""
        return frames.mean(0).flatten(1)

    def classify(self, features: Tensor) -> Tensor:
        """See `NormalisedEvaluator.classify`."""
        logits: Tensor = self.linear(features)
        return logits
