"""A labelled set of images, and its split between target, evaluator and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import DataError
from bl_neuro.seeding import stream


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) in 0..1 and their labels (N,) in 0..classes-1."""

    name: str
    source: str
    images: FloatArray
    labels: IntArray
    class_names: tuple[str, ...]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def class_means(self) -> FloatArray:
        """The mean image of each class, (classes, C, H, W)."""
        return np.stack([self.images[self.labels == label].mean(axis=0) for label in range(self.classes)])

    def subset(self, index: IntArray) -> Dataset:
        """The samples at `index`."""
        return Dataset(self.name, self.source, self.images[index], self.labels[index], self.class_names)


@dataclass(frozen=True)
class Split:
    """Three disjoint parts: what the target learns from, what the evaluator learns from, what both are tested on."""

    target: Dataset
    evaluator: Dataset
    test: Dataset

    def sizes(self) -> dict[str, int]:
        """Samples in each part."""
        parts = {"target": self.target, "evaluator": self.evaluator, "test": self.test}
        return {name: len(part.labels) for name, part in parts.items()}


def three_way_split(dataset: Dataset, seed: int, target: float = 0.5, evaluator: float = 0.3) -> Split:
    """Splits `dataset`, each class in the same proportions; what is left over is the test set.

    Raises:
        DataError: a part would have fewer than two samples of some class.
    """
    rng = stream(seed, "split")
    parts: list[list[IntArray]] = [[], [], []]
    for label in range(dataset.classes):
        index = rng.permutation(np.flatnonzero(dataset.labels == label))
        cuts = [round(len(index) * target), round(len(index) * (target + evaluator))]
        pieces = np.split(index, cuts)
        if min(len(piece) for piece in pieces) < 2:
            raise DataError(f"{dataset.name}: class {label} has {len(index)} samples, too few to split three ways")
        for part, piece in zip(parts, pieces):
            part.append(piece)
    return Split(*(dataset.subset(rng.permutation(np.concatenate(part))) for part in parts))
