"""What every evaluator of ours shares: how it sees an image, how it answers, how it is saved."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.training.module_file import image_facts, write_module

FORMAT = "bl-neuro/evaluator/2"
BATCH = 256
"""Images judged at a time."""
WIDEST = 32
"""Largest side that is looked at; larger images are averaged over blocks first."""


class ImageEvaluator(nn.Module):
    """A classifier of images (C, H, W), blind to their brightness and contrast.

    Every image is normalised to mean 0 and standard deviation 1 over its pixels, because an inversion has no calibrated
    brightness. Subclasses turn normalised images into features and features into logits.
    """

    name: ClassVar[str]
    spiking: ClassVar[bool]
    learning_rate: ClassVar[float]
    """The rate that it learns well at."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.block = averaging_block(shape)
        if min(shape[1:]) // self.block < 2:
            raise InputError(
                "evaluator: expected images of which at least 2 pixels a side are left where the larger side is "
                f"shrunk to {WIDEST}, found {shape}"
            )
        self.shape, self.classes = shape, classes

    @property
    @abstractmethod
    def architecture(self) -> str:
        """Its layers, in one line."""

    @abstractmethod
    def embed(self, frames: Tensor) -> Tensor:
        """Features (B, D) of normalised frames (T, B, C, H, W); T is 1 for images."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, D)."""

    def forward(self, values: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) or spikes (T, B, C, H, W)."""
        return self.classify(self.embed(_normalised(values if values.ndim == 5 else values[None])))

    def probabilities(self, images: npt.ArrayLike) -> FloatArray:
        """Class probabilities (B, classes) of images (B, C, H, W), values in 0..1, or of spikes (T, B, C, H, W)."""
        return self._batched(images, lambda frames: torch.softmax(self.classify(self.embed(frames)), dim=1))

    def features(self, images: npt.ArrayLike) -> FloatArray:
        """The penultimate layer's values (B, D) for images (B, C, H, W) or spikes (T, B, C, H, W)."""
        return self._batched(images, self.embed)

    def accuracy(self, data: Samples) -> float:
        """Fraction of `data` classified as labelled; of events by their spikes."""
        right = 0
        for start in range(0, len(data.labels), BATCH):
            part = np.arange(start, min(start + BATCH, len(data.labels)))
            right += int((self.probabilities(shown(data, part)).argmax(axis=1) == data.labels[part]).sum())
        return right / len(data.labels)

    def save(self, path: str | Path) -> None:
        """Writes the evaluator to a .safetensors file, atomically. `load_evaluator` reads it.

        Raises:
            ModelFileError: it cannot be written.
        """
        facts = {"format": FORMAT, "kind": self.name}
        write_module(path, self, {**facts, **image_facts(self.shape, self.classes)})

    def _batched(self, images: npt.ArrayLike, judge: Callable[[Tensor], Tensor]) -> FloatArray:
        values = np.asarray(images)
        if values.ndim not in (4, 5) or tuple(values.shape[-3:]) != self.shape or 0 in values.shape:
            raise InputError(
                f"evaluator: expected images of shape {self.shape}, (B, ...) or (T, B, ...), found {values.shape}"
            )
        frames = values if values.ndim == 5 else values[None]
        device = next(self.parameters()).device
        self.eval()
        answers = []
        with torch.no_grad():
            for start in range(0, frames.shape[1], BATCH):
                batch = torch.as_tensor(np.ascontiguousarray(frames[:, start : start + BATCH]), dtype=torch.float32)
                answers.append(judge(_normalised(batch.to(device))).double().cpu())
        return np.asarray(torch.cat(answers))


def shown(data: Samples, index: IntArray) -> npt.NDArray[Any]:
    """What an evaluator looks at: images (B, C, H, W), or of events all their spikes (T, B, C, H, W)."""
    if isinstance(data, EventDataset):
        return np.moveaxis(data.frames_at(index), 1, 0)
    return data.images_at(index)


def averaging_block(shape: tuple[int, int, int]) -> int:
    """The side of the blocks whose means bring an image (C, H, W) to at most 32 pixels a side."""
    return -(-max(shape[1:]) // WIDEST)


def _normalised(frames: Tensor) -> Tensor:
    """Frames (T, B, C, H, W), shifted and scaled so that each sample's mean over time has mean 0 and deviation 1."""
    image = frames.mean(0).flatten(1)
    mean, spread = image.mean(dim=1), image.std(dim=1).clamp(min=1e-6)
    return (frames - mean[:, None, None, None]) / spread[:, None, None, None]
