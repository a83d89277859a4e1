"""What a deployment can do against inversion, between its input, its network and what it shows.

    box = bl.BlackBox(target, reveals="scores", mitigation=OutputNoise(0.1), seed=3)

The attacker gets what comes out, and so does every honest user: `BlackBox.query` applies a mitigation to all, and the
accuracy that is left is measured through the same box (`access.predicted_classes`). Two more need no class here: to
reveal less (`reveals=`), and to cap queries (`budget=`). Coarser weights are a network of their own:
`deploy.weight_bits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.errors import InputError


class Mitigation:
    """Changes the input before the network runs, or what is shown after it. Chance comes from the box's seed."""

    acts_on: ClassVar[tuple[str, ...]] = ("membrane", "scores", "counts", "label")
    """What a box may reveal for this to make sense. A label is that of the changed counts or scores."""

    def inputs(self, spikes: Tensor, rng: np.random.Generator) -> Tensor:
        """What the network is given in place of `spikes` (T, B, *input_shape), 0/1."""
        return spikes

    def output(self, shown: Tensor, reveals: str, rng: np.random.Generator) -> Tensor:
        """What is shown in place of a membrane (T, B, C), or of scores or counts (B, C)."""
        return shown

    def check(self, reveals: str) -> None:
        """InputError where it does nothing to what is revealed."""
        if reveals not in self.acts_on:
            raise InputError(
                f"mitigation: {type(self).__name__} acts on {', '.join(self.acts_on)}; this box reveals {reveals}"
            )


@dataclass(frozen=True)
class Rounding(Mitigation):
    """Shows whole multiples of `step`, above 0, in the units of what is shown: 0.1 of a score, 5 of a count."""

    step: float

    def __post_init__(self) -> None:
        _need("step", self.step, math.inf, "a number above 0")

    def output(self, shown: Tensor, reveals: str, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.output`."""
        rounded = (shown.double() / self.step).round() * self.step
        return rounded.to(shown.dtype) if shown.is_floating_point() else rounded


@dataclass(frozen=True)
class OutputNoise(Mitigation):
    """Adds normal noise of standard deviation `sd`, above 0, in the units of what is shown, anew in every answer.

    Counts are then rounded to whole numbers, at least 0; scores are shown as they come, and may leave 0..1. Who asks
    the same input n times divides the noise by sqrt(n): it costs an attacker queries, and nothing else.
    """

    sd: float

    def __post_init__(self) -> None:
        _need("sd", self.sd, math.inf, "a number above 0")

    def output(self, shown: Tensor, reveals: str, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.output`."""
        noisy = shown.double() + torch.from_numpy(rng.normal(0.0, self.sd, tuple(shown.shape)))
        if reveals == "counts":
            return noisy.round().clamp(min=0).to(shown.dtype)
        return noisy.to(shown.dtype)


@dataclass(frozen=True)
class InputDropout(Mitigation):
    """Leaves out each spike of the input with probability `rate`, between 0 and 1, anew in every query.

    As with `OutputNoise`, who asks the same input often averages it away.
    """

    rate: float
    acts_on: ClassVar[tuple[str, ...]] = ("membrane", "scores", "spikes", "counts", "label")

    def __post_init__(self) -> None:
        _need("rate", self.rate, 1.0, "a number between 0 and 1")

    def inputs(self, spikes: Tensor, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.inputs`."""
        kept = torch.from_numpy(rng.random(tuple(spikes.shape), dtype=np.float32) >= self.rate)
        return spikes * kept.to(spikes.dtype) if spikes.dtype != torch.bool else spikes & kept


def _need(name: str, value: Any, below: float, said: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < below:
        raise InputError(f"{name}: expected {said}, found {value!r}")
