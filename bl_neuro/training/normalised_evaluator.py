"""Evaluators that are invariant to brightness and contrast, trained on images that resemble inversions."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed
from bl_neuro.training.fit import Course, Phase, epochs_for, find_device, fit
from bl_neuro.training.image_evaluator import (
    EvaluatorSettings,
    ImageEvaluator,
    Shape,
    TrainingRun,
    image_shape,
    shown,
)
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.seen_as_inversions import events_seen_as_inversions, seen_as_inversions

WIDEST = 32
"""Maximum side in pixels; larger images are first averaged over blocks."""
FEWEST, MOST = 5, 100
"""Range for the number of epochs from `epochs_for`."""
BATCHES = (16, 64)
"""Range of the batch size, which is a sixteenth of the data."""


class NormalisedEvaluator(ImageEvaluator):
    """Normalises images to mean 0 and standard deviation 1, since inversions have no calibrated brightness.

    Subclasses compute features from normalised images, and logits from features. Training images are shifted by a few
    pixels, have random contrast and background, and are sampled as in a rate code. For events, training spikes are
    shifted, and some are dropped or added. epochs: if None, chosen so that about 180,000 images are seen, within 5 to
    100.
    """

    learning_rate: ClassVar[float]
    """The learning rate of its training."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.block = averaging_block(shape)
        if min(shape[1:]) // self.block < 2:
            raise InputError(
                "evaluator: expected images with at least 2 pixels per side after the larger side is "
                f"shrunk to {WIDEST}, found {shape}"
            )

    @abstractmethod
    def embed(self, frames: Tensor) -> Tensor:
        """Features (B, D) of normalised frames (T, B, C, H, W); T is 1 for images."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, D)."""

    def forward(self, values: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) or spikes (T, B, C, H, W)."""
        return self.classify(self.embed(_normalised(values if values.ndim == 5 else values[None])))

    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEvaluator.judge`."""
        features = self.embed(_normalised(frames))
        return torch.softmax(self.classify(features), dim=1), features

    @classmethod
    def trained_on(cls, data: Samples, settings: EvaluatorSettings, run: TrainingRun) -> ImageEvaluator:
        """See `ImageEvaluator.trained_on`."""
        place = find_device(run.device)
        purpose = f"train evaluator {cls.name}"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(run.seed, purpose))
            evaluator = cls(image_shape(data), data.classes).to(place)
        epochs = settings.epochs
        if epochs is None:
            epochs = epochs_for(len(data.labels), FEWEST, MOST)
        batch = min(BATCHES[1], max(BATCHES[0], len(data.labels) // 16))

        def loss(index: IntArray, rng: np.random.Generator) -> Tensor:
            values = shown(data, index)
            if values.ndim == 5:
                inputs = torch.from_numpy(events_seen_as_inversions(values, rng)).to(place).float()
            else:
                inputs = torch.from_numpy(seen_as_inversions(values, run.steps, rng)).to(place)
            return F.cross_entropy(evaluator(inputs), torch.from_numpy(data.labels[index]).to(place))

        course = Course(
            samples=np.arange(len(data.labels)),
            batch=batch,
            seed=run.seed,
            purpose=purpose,
            progress=run.progress,
            checkpoint=run.checkpoint,
            facts={"steps": str(run.steps), "epochs": str(epochs), "batch": str(batch), "data": samples_digest(data)},
        )
        fit(evaluator, [Phase(epochs, evaluator.learning_rate, 1e-2, loss)], course)
        return evaluator.cpu().eval()


def averaging_block(shape: Shape) -> int:
    """Block size whose averages reduce an image (C, H, W) to at most 32 x 32 pixels."""
    return -(-max(shape[1:]) // WIDEST)


def _normalised(frames: Tensor) -> Tensor:
    """Frames (T, B, C, H, W), normalised so that each sample's mean over time has mean 0 and deviation 1."""
    image = frames.mean(0).flatten(1)
    mean, spread = image.mean(dim=1), image.std(dim=1).clamp(min=1e-6)
    return (frames - mean[:, None, None, None]) / spread[:, None, None, None]
