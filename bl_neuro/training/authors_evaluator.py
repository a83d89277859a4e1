"""The evaluator of the BrainLeaks authors, to measure how much results depend on the evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.arrays import IntArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training.bptt import fire
from bl_neuro.training.fit import Course, Phase, find_device, fit
from bl_neuro.training.image_evaluator import (
    BATCH,
    EvaluatorSettings,
    ImageEvaluator,
    Shape,
    TrainingRun,
    image_shape,
)
from bl_neuro.training.plans import TargetPlan
from bl_neuro.training.samples_digest import samples_digest

PURPOSE = "train authors' judge"
NEURON = TargetPlan(neuron="authors")
"""The design whose neuron it has: leaky, beta 0.7, delayed subtraction."""
SMALL = 16
"""Side below which kernels are 3x3, padded, and only the second layer is pooled."""


@dataclass(frozen=True)
class AuthorsSettings(EvaluatorSettings):
    """Settings: `epochs` in batches of `batch`, with a cosine schedule from `rate`.

    The authors use a rate of 2e-4, for a number of epochs that they do not state.
    """

    epochs: int = 4
    rate: float = 1e-3
    batch: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate < 1:
            raise InputError(f"rate: expected between 0 and 1, found {self.rate}")
        if self.batch < 1:
            raise InputError(f"batch: expected at least 1, found {self.batch}")


class AuthorsEvaluator(ImageEvaluator):
    """12c5 - p2 - 24c5 - p2 - classes, with a leaky neuron (beta 0.7, delayed subtraction) after each layer.

    Images smaller than 16 pixels: 12c3 - 24c3 - p2 - classes, padded. Unlike the other evaluators it processes the
    spikes (T, B, C, H, W) step by step, without normalisation, and is trained only on rate-coded samples, not on images
    that resemble inversions. Its output is the mean over time of softmax(membrane). Images (B, C, H, W) are first rate
    coded over `steps` steps. Features: the firing rates of the last hidden layer, (B, D).

    Source: the published notebooks of BrainLeaks (arXiv 2402.00906).
    """

    name = "authors"
    title = "BrainLeaks authors' classifier"
    spiking = True
    judges: ClassVar[Literal["images", "spikes"]] = "spikes"
    Settings = AuthorsSettings

    def __init__(self, shape: Shape, classes: int, steps: int = 25) -> None:
        super().__init__(shape, classes)
        channels, height, width = shape
        if min(height, width) < 2:
            raise InputError(f"evaluator: expected images of at least 2 x 2 pixels, found {shape}")
        self.steps = steps
        self.large = min(height, width) >= SMALL
        kernel, padding = (5, 0) if self.large else (3, 1)
        self.first = nn.Conv2d(channels, 12, kernel, padding=padding)
        self.second = nn.Conv2d(12, 24, kernel, padding=padding)
        sides = [((side - 4) // 2 - 4) // 2 if self.large else side // 2 for side in (height, width)]
        self.last = nn.Linear(24 * sides[0] * sides[1], classes)

    @property
    def architecture(self) -> str:
        """The layers in one line."""
        layers = "12c5 - pool2 - 24c5 - pool2" if self.large else "12c3 - 24c3 - pool2"
        return f"conv {layers} - classes, leaky integrate-and-fire, {self.steps} steps, spiking, as its authors train"

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """The output's membrane (T, B, classes) and the last hidden spikes (T, B, D)."""
        steps = spikes.shape[:2]
        drive = self.first(spikes.flatten(0, 1))
        drive = (F.max_pool2d(drive, 2) if self.large else drive).unflatten(0, steps)
        values, _ = fire(NEURON, drive)
        drive = F.max_pool2d(self.second(values.flatten(0, 1)), 2).unflatten(0, steps)
        values, _ = fire(NEURON, drive)
        hidden = values.flatten(2)
        membrane: Tensor = fire(NEURON, self.last(hidden.flatten(0, 1)).unflatten(0, steps))[1]
        return membrane, hidden

    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEvaluator.judge`."""
        membrane, hidden = self(self._coded(frames[0]) if len(frames) == 1 else frames)
        return torch.softmax(membrane, dim=2).mean(0), hidden.mean(0)

    def accuracy(self, data: Samples) -> float:
        """Fraction of `data`, rate coded, that is classified correctly."""
        rng = stream(0, "authors' judge test")
        right = 0
        for part in np.array_split(np.arange(len(data.labels)), -(-len(data.labels) // BATCH)):
            spikes = data.spikes(part, self.steps, rng)
            right += int((self.probabilities(spikes).argmax(axis=1) == data.labels[part]).sum())
        return right / len(data.labels)

    def facts(self) -> dict[str, str]:
        """See `ImageEvaluator.facts`."""
        return {"steps": str(self.steps)}

    @classmethod
    def from_facts(cls, shape: Shape, classes: int, facts: Mapping[str, str]) -> ImageEvaluator:
        """See `ImageEvaluator.from_facts`."""
        steps = int(facts["steps"])
        if not 1 <= steps <= MAX_STEPS:
            raise ValueError(f"invalid number of steps {steps}")
        return cls(shape, classes, steps)

    @classmethod
    def trained_on(cls, data: Samples, settings: AuthorsSettings, run: TrainingRun) -> ImageEvaluator:
        """Minimises the sum over time of -log softmax(membrane)[label], as the authors do."""
        place = find_device(run.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(run.seed, PURPOSE))
            evaluator = cls(image_shape(data), data.classes, run.steps).to(place)

        def loss(index: IntArray, rng: np.random.Generator) -> Tensor:
            if isinstance(data, EventDataset):
                spikes = torch.from_numpy(data.spikes(index, run.steps, rng)).float()
            else:
                images = data.images_at(index).astype(np.float32)
                drawn = rng.random((run.steps, *images.shape), dtype=np.float32)
                spikes = torch.from_numpy(drawn < images).float()
            labels = torch.from_numpy(data.labels[index]).repeat(run.steps).to(place)
            return F.cross_entropy(evaluator(spikes.to(place))[0].flatten(0, 1), labels) * run.steps

        course = Course(
            samples=np.arange(len(data.labels)),
            batch=settings.batch,
            seed=run.seed,
            purpose=PURPOSE,
            progress=run.progress,
            checkpoint=run.checkpoint,
            facts={
                "training": f"{settings.epochs} epochs of {settings.batch} at {settings.rate}, {run.steps} steps",
                "data": samples_digest(data),
            },
        )
        fit(evaluator, [Phase(settings.epochs, settings.rate, 0.0, loss)], course)
        return evaluator.cpu().eval()

    def _coded(self, images: Tensor) -> Tensor:
        """A deterministic rate code (T, B, C, H, W) of images (B, C, H, W) in 0..1."""
        drawn = stream(0, "authors' judge images").random((self.steps, *images.shape[1:]), dtype=np.float32)
        return (torch.from_numpy(drawn)[:, None].to(images.device) < images).float()
