"""A white-box attack: one step along the gradient, as a rate code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from bl_neuro.access import WhiteBox
from bl_neuro.attacks import Attack, Inversions, Status, Trace
from bl_neuro.attacks.base import Access, Progress
from bl_neuro.seeding import derived_seed


@dataclass(frozen=True, kw_only=True)
class ToyAscent(Attack[WhiteBox]):
    """Spikes where the gradient of the class's membrane at random inputs is among the `share` largest."""

    name: ClassVar[str] = "toy_ascent"
    title: ClassVar[str] = "toy ascent"
    access: ClassVar[Access] = "white_box"

    share: float = 0.25

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        return [] if 0 < self.share < 1 else [f"share: expected above 0 and below 1, found {self.share}"]

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        before = box.queries
        labels = torch.as_tensor(classes)
        spikes = torch.stack([self._inputs(box, seed, label, steps) for label in classes], dim=1)

        def objective(response: Any) -> torch.Tensor:
            return response.membrane.mean(0)[torch.arange(len(classes)), labels]

        values, gradient = box.gradient(spikes.float(), objective)
        slope = gradient.sum(0).flatten(1)
        least = slope.quantile(1 - self.share, dim=1, keepdim=True)
        rates = (slope >= least).float().reshape(len(classes), *box.input_shape)
        progress(1, 1)
        trace = Trace(torch.tensor([box.queries - before]), values.float()[None], rates[None])
        inverted = rates.to(torch.uint8).expand(steps, *rates.shape).contiguous()
        return Inversions(inverted, labels, rates, box.queries - before, trace, Status.COMPLETED, self.name, seed)

    @staticmethod
    def _inputs(box: WhiteBox, seed: int, label: int, steps: int) -> torch.Tensor:
        """Random spikes that depend on the seed and the class alone."""
        generator = torch.Generator().manual_seed(derived_seed(seed, "toy_ascent", label) % 2**63)
        return (torch.rand(steps, *box.input_shape, generator=generator) < 0.5).to(torch.uint8)
