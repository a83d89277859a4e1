"""Evaluators that are fitted in one step by scikit-learn, and stored as arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed
from bl_neuro.training.image_evaluator import (
    BATCH,
    EvaluatorSettings,
    ImageEvaluator,
    Shape,
    TrainingRun,
    image_shape,
    shown,
)
from bl_neuro.training.normalised_evaluator import WIDEST, averaging_block

SMALLEST_DEVIATION = 1e-6
LARGEST_SIZE = 2**24
"""Largest size of an array along an axis, so that float32 holds every index exactly."""


@dataclass(frozen=True)
class FittedSettings(EvaluatorSettings):
    """Settings of an evaluator without epochs."""

    def __post_init__(self) -> None:
        if self.epochs is not None:
            raise InputError(f"epochs: expected none, since this evaluator is fitted in one step, found {self.epochs}")

    def definition(self) -> dict[str, Any]:
        """See `EvaluatorSettings.definition`."""
        return {name: value for name, value in super().definition().items() if name != "epochs"}


class FittedEvaluator(ImageEvaluator):
    """A classifier of normalised pixels: (x - mean) / deviation of each image, (B, D), as one vector.

    Images larger than 32 pixels are first averaged over blocks; spikes are averaged over time. Training images are
    taken as they are. Its arrays are float32 parameters, whose sizes subclasses state in `sizes`.
    """

    fitted_at_once: ClassVar[bool] = True

    def __init__(self, shape: Shape, classes: int, sizes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(shape, classes)
        self.block = averaging_block(shape)
        if not self.pixels:
            raise InputError(
                "evaluator: expected images with at least 1 pixel per side after the larger side is shrunk to "
                f"{WIDEST}, found {shape}"
            )
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(*size), requires_grad=False))

    @property
    def pixels(self) -> int:
        """Number of values that it sees of an image, D."""
        return pixels_of(self.shape)

    def normalised(self, frames: Tensor) -> Tensor:
        """Images or spikes (T, B, C, H, W) as vectors (B, D), float32."""
        values = frames.float().mean(0)
        if self.block > 1:
            values = F.avg_pool2d(values, self.block)
        flat = values.flatten(1)
        spread = flat.std(dim=1, unbiased=False).clamp(min=SMALLEST_DEVIATION)
        return (flat - flat.mean(dim=1, keepdim=True)) / spread[:, None]

    @classmethod
    def trained_on(cls, data: Samples, settings: Any, run: TrainingRun) -> ImageEvaluator:
        """See `ImageEvaluator.trained_on`. There is no checkpoint, since nothing is repeated in steps."""
        shape = image_shape(data)
        blank = FittedEvaluator.__new__(cls)
        FittedEvaluator.__init__(blank, shape, data.classes, {})
        starts = range(0, len(data.labels), BATCH)
        parts = [np.arange(start, min(start + BATCH, len(data.labels))) for start in starts]
        vectors = [blank.normalised(_frames(data, part)).numpy() for part in parts]
        seed = derived_seed(run.seed, f"train evaluator {cls.name}")
        return cls.fitted(np.concatenate(vectors), data.labels, shape, data.classes, settings, seed).eval()

    @classmethod
    @abstractmethod
    def fitted(
        cls, vectors: FloatArray, labels: IntArray, shape: Shape, classes: int, settings: Any, seed: int
    ) -> ImageEvaluator:
        """Fits an evaluator to normalised images (N, D) and their labels (N,)."""

    def put(self, name: str, values: Any) -> None:
        """Sets the array `name`."""
        array = np.asarray(values, dtype=np.float32)
        parameter: nn.Parameter = getattr(self, name)
        parameter.data = torch.from_numpy(array.reshape(tuple(parameter.shape)).copy())


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """|x - y|^2 of vectors (B, D) and (N, D), as (B, N), in float64 by |x|^2 + |y|^2 - 2 x y."""
    one, other = first.double(), second.double()
    lengths = (one**2).sum(dim=1)[:, None] + (other**2).sum(dim=1)[None]
    distances: Tensor = (lengths - 2 * one @ other.T).clamp(min=0)
    return distances


def pixels_of(shape: Shape) -> int:
    """Number of values that a fitted evaluator sees of images of this shape."""
    block = averaging_block(shape)
    return shape[0] * (shape[1] // block) * (shape[2] // block)


def stated_size(facts: Mapping[str, str], name: str) -> int:
    """A size in the facts of a file. Raises KeyError or ValueError if it is missing or out of range."""
    size = int(facts[name])
    if not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"{name}: expected 1..{LARGEST_SIZE}, found {size}")
    return size


def _frames(data: Samples, index: IntArray) -> Tensor:
    values = shown(data, index)
    return torch.as_tensor(np.ascontiguousarray(values if values.ndim == 5 else values[None]), dtype=torch.float32)
