"""BrainLeaks v1: a white-box inversion along surrogate gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import WhiteBox, scores
from bl_neuro.attacks.base import Attack, Progress
from bl_neuro.attacks.inversions import Inversions, Status, Trace
from bl_neuro.backends.base import Response
from bl_neuro.errors import InputError
from bl_neuro.seeding import stream


@dataclass(frozen=True)
class BrainLeaksV1(Attack[WhiteBox]):
    """From silence, flips the input spikes that the gradient points at, with a probability of its magnitude.

    For each of `iterations`: J = mean over t of softmax(output membrane)[c]; g = dJ/dX;
    mask M ~ Bernoulli(minmax(|g|)); X <- 1[X + sign(g) M > 0]. All classes in one batch. The result is run once more,
    so that the trace, which begins with silence, ends with it.

    Source: BrainLeaks (arXiv 2402.00906), first attack; 10 iterations for images.
    """

    name: ClassVar[str] = "v1"
    access: ClassVar[str] = "white_box"

    iterations: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, (int, np.integer)) or self.iterations < 1:
            raise InputError(f"iterations: expected a whole number of at least 1, found {self.iterations}")

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        rng = stream(seed, "attack v1")
        wanted = torch.as_tensor(classes)
        spikes = torch.zeros(steps, len(classes), *box.input_shape, dtype=torch.float64)
        before = box.queries
        queries, objectives, rates = [], [], []

        def objective(response: Response) -> Tensor:
            if response.membrane is None:
                raise InputError("v1 needs the membrane of the output, which this substrate does not show")
            return scores(response.membrane)[torch.arange(len(wanted)), wanted]

        for iteration in range(self.iterations):
            values, gradient = box.gradient(spikes, objective)
            queries.append(box.queries - before)
            objectives.append(values.float())
            rates.append(spikes.mean(0).float())
            size = gradient.abs()
            axes = [0, *range(2, size.dim())]
            low, high = size.amin(axes, keepdim=True), size.amax(axes, keepdim=True)
            chance = (size - low) / (high - low).clamp(min=torch.finfo(size.dtype).tiny)
            mask = torch.from_numpy(rng.random(tuple(size.shape))) < chance
            spikes = ((spikes + gradient.sign() * mask) > 0).to(spikes.dtype)
            progress(iteration + 1, self.iterations)
        final = objective(box.run(spikes))
        queries.append(box.queries - before)
        objectives.append(final.float())
        rates.append(spikes.mean(0).float())
        trace = Trace(torch.as_tensor(queries), torch.stack(objectives), torch.stack(rates))
        return Inversions(
            spikes.to(torch.uint8), wanted, None, box.queries - before, trace, Status.COMPLETED, self.name, seed
        )
