"""Reads planted secrets from images: kernel ridge classifiers, one for each class, over all possible secrets.

A reader learns from images that no target saw, shown under every possible secret. Its accuracy on other such images is
a ceiling for what can be read from inversions.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.experiment.secrets_plants import Plant
from bl_neuro.seeding import stream

RIDGE = 0.1
"""Regularisation, added to the diagonal of the kernel matrix, whose entries are at most 1."""


class ClassReader(NamedTuple):
    """Reads the secret of one class: standardised images (n, D) and their coefficients (n, choices)."""

    images: FloatArray
    coefficients: FloatArray

    def scores(self, images: FloatArray) -> FloatArray:
        """A score for every choice, (N, choices), given images (N, C, H, W)."""
        return np.asarray(_kernel(_standardised(images), self.images) @ self.coefficients)


class SecretReader:
    """Readers by class, (classes,), or one for all classes if these show secrets alike."""

    def __init__(self, readers: list[ClassReader]) -> None:
        self.readers = readers

    @classmethod
    def trained(cls, plant: Plant, data: Dataset, images: int) -> SecretReader:
        """Trains readers on `data`, which no target saw. images: maximum number per class and choice."""
        classes = 1 if plant.shared else data.classes
        return cls([_fitted(plant, data, label, images) for label in range(classes)])

    def scores(self, label: int, images: FloatArray) -> FloatArray:
        """A score for every possible secret of class `label`, (N, choices), given images (N, C, H, W)."""
        return self.readers[label if len(self.readers) > 1 else 0].scores(images)

    def accuracy(self, plant: Plant, data: Dataset, label: int) -> float:
        """How often it reads the right secret of class `label` from the images of `data` under every secret."""
        images, secrets = examples(plant, data, label, len(data.labels))
        return float((self.scores(label, images).argmax(axis=1) == secrets).mean())

    def save(self, path: Path) -> None:
        """Writes the readers into a safetensors file."""
        from safetensors.numpy import save_file

        tensors = {}
        for place, reader in enumerate(self.readers):
            tensors[f"{place}.images"] = reader.images.astype(np.float32)
            tensors[f"{place}.coefficients"] = reader.coefficients.astype(np.float32)
        save_file(tensors, path)

    @classmethod
    def load(cls, path: Path) -> SecretReader:
        """Reads a file of `save`. Raises ModelFileError if it is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            readers = [
                ClassReader(tensors[f"{place}.images"], tensors[f"{place}.coefficients"])
                for place in range(len(tensors) // 2)
            ]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelFileError(
                f"{path}: cannot be read as a reader of secrets ({error}); delete its cell and run the audit again"
            ) from error
        return cls(readers)


def examples(
    plant: Plant, data: Dataset, label: int, most: int, rng: np.random.Generator | None = None
) -> tuple[FloatArray, IntArray]:
    """Images of class `label` under every secret, (N, C, H, W) in 0..1, and these secrets (N,).

    most: maximum number of images per choice. rng: draws the images; by default the first ones are used. A secret that
    is one fixed pattern is shown once.

    Raises:
        InputError: `data` has no image of a class.
    """
    shown, secrets = [], []
    for secret in range(plant.choices(data.classes)):
        own = np.flatnonzero(data.labels == plant.source(label, secret))
        if len(own) == 0:
            raise InputError(f"secrets: expected images of class {plant.source(label, secret)}, found none")
        order = own if rng is None else rng.permutation(own)
        chosen = order[: most if plant.per_image else 1]
        shown.append(plant.shown(data.images_at(chosen), label, secret))
        secrets.append(np.full(len(chosen), secret))
    return np.concatenate(shown), np.concatenate(secrets)


def _fitted(plant: Plant, data: Dataset, label: int, images: int) -> ClassReader:
    """Solves (K + RIDGE) A = Y for targets Y that are 1 for the right choice, less their mean."""
    shown, secrets = examples(plant, data, label, images, stream(label, "secret reader"))
    points, choices = _standardised(shown), plant.choices(data.classes)
    wanted = np.eye(choices)[secrets] - 1 / choices
    kernel = _kernel(points, points) + RIDGE * np.eye(len(points))
    return ClassReader(points, np.linalg.solve(kernel, wanted))


def _standardised(images: FloatArray) -> FloatArray:
    """Every image as a row of mean 0 and standard deviation 1, which its brightness and contrast do not change."""
    rows = np.asarray(images, np.float64).reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, keepdims=True)
    return np.asarray(rows / np.where(spread > 0, spread, 1.0))


def _kernel(first: FloatArray, second: FloatArray) -> FloatArray:
    """The Gaussian kernel exp(-d^2 / D) of rows (n, D) and (m, D), with their distance d."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / first.shape[1]))
