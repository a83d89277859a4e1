"""Normal noise on answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.mitigations.base import Mitigation, need_number
from bl_neuro.reveals import Reveals


@dataclass(frozen=True)
class OutputNoise(Mitigation):
    """Adds normal noise with standard deviation `sd`, above 0, to every answer, in the units of the output.

    Counts are then rounded to integers of at least 0; scores are not clipped and may leave 0..1. An attacker who sends
    the same input n times divides the noise by sqrt(n), so the noise only increases the number of queries.
    """

    name: ClassVar[str] = "noise"
    title: ClassVar[str] = "Noise on answers"
    acts_on: ClassVar[tuple[Reveals, ...]] = ("membrane", "scores", "counts", "label")
    averages_out: ClassVar[bool] = True

    sd: float

    def __post_init__(self) -> None:
        need_number("sd", self.sd)

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"noise of sd {self.sd:g}"

    def output(self, shown: Tensor, reveals: Reveals, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.output`."""
        noisy = shown.double() + torch.from_numpy(rng.normal(0.0, self.sd, tuple(shown.shape)))
        if reveals == "counts":
            return noisy.round().clamp(min=0).to(shown.dtype)
        return noisy.to(shown.dtype)
