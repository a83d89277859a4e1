"""Rounded answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from bl_neuro.mitigations.base import Mitigation, need_number
from bl_neuro.reveals import Reveals


@dataclass(frozen=True)
class Rounding(Mitigation):
    """Rounds answers to multiples of `step`, above 0, in the units of the output: 0.1 for scores, 5 for counts."""

    name: ClassVar[str] = "rounding"
    title: ClassVar[str] = "Rounded answers"
    acts_on: ClassVar[tuple[Reveals, ...]] = ("membrane", "scores", "counts", "label")
    phrase: ClassVar[str] = "answers {setting}"

    step: float

    def __post_init__(self) -> None:
        need_number("step", self.step)

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"rounded to {self.step:g}"

    def output(self, shown: Tensor, reveals: Reveals, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.output`."""
        rounded = (shown.double() / self.step).round() * self.step
        return rounded.to(shown.dtype) if shown.is_floating_point() else rounded
