"""The nearest-neighbour evaluator: the classes of the training images that are most similar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.training.fitted_evaluator import (
    FittedEvaluator,
    FittedSettings,
    pixels_of,
    squared_distances,
    stated_size,
)
from bl_neuro.training.image_evaluator import ImageEvaluator, Shape


@dataclass(frozen=True)
class NeighboursSettings(FittedSettings):
    """neighbours: number of training images that vote."""

    neighbours: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours < 1:
            raise InputError(f"neighbours: expected at least 1, found {self.neighbours}")


class NeighboursEvaluator(FittedEvaluator):
    """The nearest training images by Euclidean distance, each with a vote of one over its distance.

    Its certainty is minus the distance to the nearest one, since votes say nothing of how far all images are.
    Features: the normalised image, (B, D).
    """

    name: ClassVar[str] = "neighbours"
    title: ClassVar[str] = "nearest neighbours"
    spiking: ClassVar[bool] = False
    Settings: ClassVar[type[NeighboursSettings]] = NeighboursSettings
    certain_by: ClassVar[str] = "its similarity (minus the distance) to the nearest training sample"

    def __init__(self, shape: Shape, classes: int, neighbours: int, samples: int) -> None:
        super().__init__(shape, classes, {"samples": (samples, pixels_of(shape)), "labels": (samples,)})
        self.neighbours = neighbours

    @classmethod
    def fitted(
        cls, vectors: FloatArray, labels: IntArray, shape: Shape, classes: int, settings: Any, seed: int
    ) -> ImageEvaluator:
        """See `FittedEvaluator.fitted`: keeps all images."""
        evaluator = cls(shape, classes, min(settings.neighbours, len(vectors)), len(vectors))
        evaluator.put("samples", vectors)
        evaluator.put("labels", labels)
        return evaluator

    @property
    def architecture(self) -> str:
        """See `ImageEvaluator.architecture`."""
        return f"{self.neighbours} nearest of {len(self.samples):,} normalised training images"

    def facts(self) -> dict[str, str]:
        """See `ImageEvaluator.facts`."""
        return {"neighbours": str(self.neighbours), "samples": str(len(self.samples))}

    @classmethod
    def from_facts(cls, shape: Shape, classes: int, facts: Mapping[str, str]) -> ImageEvaluator:
        """See `ImageEvaluator.from_facts`."""
        neighbours, samples = stated_size(facts, "neighbours"), stated_size(facts, "samples")
        if neighbours > samples:
            raise ValueError(f"neighbours: expected at most {samples}, found {neighbours}")
        return cls(shape, classes, neighbours, samples)

    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEvaluator.judge`."""
        vectors = self.normalised(frames)
        distances, nearest = self._distances(vectors).topk(self.neighbours, dim=1, largest=False)
        weights = 1 / distances.clamp(min=1e-6)
        votes = torch.zeros(len(vectors), self.classes, dtype=weights.dtype)
        votes.scatter_add_(1, self.labels[nearest].long().clamp(0, self.classes - 1), weights)
        return votes / votes.sum(dim=1, keepdim=True), vectors

    def certainty(self, images: npt.ArrayLike) -> FloatArray:
        """See `ImageEvaluator.certainty`."""
        nearest = self._batched(images, lambda frames: self._distances(self.normalised(frames)).amin(dim=1))
        return np.asarray(-nearest)

    def _distances(self, vectors: Tensor) -> Tensor:
        """Euclidean distances of vectors (B, D) to all training images, (B, N), float64."""
        return squared_distances(vectors, self.samples).sqrt()
