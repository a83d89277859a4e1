"""A white-box attack: one look at the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.attacks import Attack, Inversions, Status, Trace
from bl_neuro.attacks.base import Access, Progress
from bl_neuro.backends import Response
from bl_neuro.seeding import derived_seed

LIT, UNLIT = 0.8, 0.05
"""Chance of a spike, a step, where an input speaks for the class and where it does not."""


@dataclass(frozen=True, kw_only=True)
class ToyAscent(Attack[WhiteBox]):
    """Lights the `share` of inputs in which the gradient of the class's membrane is largest, as a rate code."""

    name: ClassVar[str] = "toy_ascent"
    title: ClassVar[str] = "toy ascent"
    access: ClassVar[Access] = "white_box"

    share: float = 0.25

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        return [] if 0 < self.share < 1 else [f"share: expected above 0 and below 1, found {self.share}"]

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        before, labels = box.queries, torch.as_tensor(classes)
        generators = [torch.Generator().manual_seed(derived_seed(seed, "toy_ascent", label)) for label in classes]
        chances = [torch.rand(2, steps, *box.input_shape, generator=generator) for generator in generators]
        first, second = torch.stack(chances, dim=2)

        def objective(response: Response) -> Tensor:
            assert response.membrane is not None
            return response.membrane.mean(0)[torch.arange(len(classes)), labels]

        values, gradient = box.gradient((first < 0.5).float(), objective)
        slope = gradient.sum(0).flatten(1).float()
        best = slope >= slope.quantile(1 - self.share, dim=1, keepdim=True)
        rates = torch.where(best, LIT, UNLIT).reshape(len(classes), *box.input_shape)
        progress(1, 1)
        queries = box.queries - before
        trace = Trace(torch.tensor([queries]), values.float()[None], rates[None])
        spikes = (second < rates).to(torch.uint8)
        return Inversions(spikes, labels, rates, queries, trace, Status.COMPLETED, self.name, seed)
