"""Random dropout of input spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.mitigations.base import Mitigation, need_number


@dataclass(frozen=True)
class InputDropout(Mitigation):
    """Drops each input spike with probability `rate`, between 0 and 1, independently in every query.

    As with `OutputNoise`, an attacker who repeats a query can average the effect away.
    """

    name: ClassVar[str] = "input_dropout"
    title: ClassVar[str] = "Input spikes left out"
    averages_out: ClassVar[bool] = True

    rate: float

    def __post_init__(self) -> None:
        need_number("rate", self.rate, 1.0)

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"{100 * self.rate:g} % of input spikes left out"

    def inputs(self, spikes: Tensor, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.inputs`."""
        kept = torch.from_numpy(rng.random(tuple(spikes.shape), dtype=np.float32) >= self.rate)
        return spikes * kept.to(spikes.dtype) if spikes.dtype != torch.bool else spikes & kept
