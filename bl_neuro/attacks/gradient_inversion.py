"""The baseline for networks that do not spike: gradient descent on an image, as in Fredrikson et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.attacks.base import Access, Progress
from bl_neuro.attacks.gradient_search import ClassStreams, WhiteBoxTrace
from bl_neuro.attacks.image_prior import AttackWithPriors
from bl_neuro.attacks.inversions import Inversions, Status

LARGEST = 1e6
"""Maximum learning rate; pixels are in 0..1, and larger values would overflow."""


@dataclass(frozen=True, kw_only=True)
class GradientInversion(AttackWithPriors[AnnBox]):
    """Minimises the cost 1 - softmax(logits)[c] of an ANN, starting from a black image for each class.

        x <- x - learning_rate dcost/dx, clipped to 0..1 if `clip`

    A class is finished when its cost is at most `goal`, after `patience` consecutive iterations without a decrease, or
    after `iterations`. Enabled image priors modify the gradient.

    `rates` of the inversions are the images, each scaled to 0..1 as the BrainLeaks authors do before judging; `spikes`
    are a rate code of them. Evaluators should judge the rates. The authors clip for MNIST (the default) and not for
    faces. The objective in the trace is softmax(logits)[c].

    The twin of a target of events classifies the mean frame of a recording, the number of events of each pixel divided
    by the number of steps. Its inversions are such frames: their rate code has the same rates in every step, without
    the motion of recordings.

    The attack takes an `AnnBox`. For spiking targets use BrainLeaksV1.

    Source: Fredrikson et al. 2015 (model inversion with confidences), as the baseline of BrainLeaks (arXiv 2402.00906).
    """

    name: ClassVar[str] = "ann"
    title: ClassVar[str] = "ANN baseline"
    access: ClassVar[Access] = "ann"

    iterations: int = 5000
    learning_rate: float = 0.1
    goal: float = 0.01
    patience: int = 100
    clip: bool = True

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        counts = {"iterations": self.iterations, "patience": self.patience}
        low_counts = [
            f"{name}: expected a whole number of at least 1, found {value}"
            for name, value in counts.items()
            if value < 1
        ]
        rules = [
            (
                0 < self.learning_rate <= LARGEST,
                f"learning_rate: expected above 0, at most {LARGEST:g}, found {self.learning_rate}",
            ),
            (0 <= self.goal < 1, f"goal: expected 0 or more, below 1, found {self.goal}"),
        ]
        return [*super().problems(), *low_counts, *(message for holds, message in rules if not holds)]

    def images(self, inversions: Inversions) -> Tensor:
        """The reconstructed images, of which the spikes are a rate code."""
        rates = inversions.rates
        return inversions.images if rates is None else rates

    def _invert(self, box: AnnBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        descent = _Descent(self, box, classes)
        for iteration in range(self.iterations):
            descent.step(traced=iteration in _TRACED)
            last = len(descent.going) == 0
            progress(self.iterations if last else iteration + 1, self.iterations)
            if last:
                break
        return descent.result(steps, seed)


_TRACED = frozenset(int(number) for number in np.geomspace(1, 10**6, 128) - 1)
"""Iterations that enter the trace: ever fewer, so that it stays small."""


class _Descent:
    """The state of one run: images (K, *input_shape), and which of them are not finished (`going`)."""

    def __init__(self, plan: GradientInversion, box: AnnBox, classes: list[int]) -> None:
        self.plan, self.box = plan, box
        self.prior = plan.prior(box.input_shape)
        self.classes = torch.as_tensor(classes)
        self.images = torch.zeros(len(classes), *box.input_shape, dtype=torch.float64)
        self.costs = torch.full((len(classes),), np.inf, dtype=torch.float64)
        self.stalled = torch.zeros(len(classes), dtype=torch.int64)
        self.going = torch.arange(len(classes))
        self.trace = WhiteBoxTrace(box)

    def step(self, traced: bool) -> None:
        """Takes one gradient step for every class that is not finished."""
        plan, going = self.plan, self.going
        classes = self.classes[going]
        costs, gradient = self.box.gradient(self.images[going], lambda logits: class_cost(logits, classes))
        before, self.costs[going] = self.costs[going], costs
        if traced:
            self.trace.add(1.0 - self.costs, scaled_images(self.images))
        if self.prior.active:
            gradient = torch.from_numpy(self.prior.shape(gradient.numpy()))
        images = self.images[going] - plan.learning_rate * gradient
        self.images[going] = images.clamp(0.0, 1.0) if plan.clip else images
        self.stalled[going] = torch.where(costs >= before, self.stalled[going] + 1, 0)
        self.going = going[(costs > plan.goal) & (self.stalled[going] < plan.patience)]

    def result(self, steps: int, seed: int) -> Inversions:
        """The final images, run once more, and a rate code of them."""
        rates = scaled_images(self.images).float()
        self.trace.add(1.0 - class_cost(self.box.run(self.images), self.classes), rates)
        chance = ClassStreams(seed, "attack ann", self.classes.tolist())
        spikes = chance.uniform(steps, *self.box.input_shape).transpose(0, 1) < rates
        return Inversions(
            spikes.to(torch.uint8),
            self.classes,
            rates,
            self.trace.queries,
            self.trace.finished(),
            Status.COMPLETED,
            self.plan.name,
            seed,
        )


def class_cost(logits: Tensor, classes: Tensor) -> Tensor:
    """1 - softmax(logits)[c], (B,), of logits (B, C)."""
    cost: Tensor = 1.0 - torch.softmax(logits, dim=1)[torch.arange(len(classes)), classes]
    return cost


def scaled_images(images: Tensor) -> Tensor:
    """Images (K, ...), each scaled to 0..1; all 0 if its pixels are equal."""
    flat = images.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    scaled = (flat - low) / (high - low).clamp(min=torch.finfo(images.dtype).tiny)
    return scaled.reshape(images.shape)
