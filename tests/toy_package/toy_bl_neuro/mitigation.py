"""A mitigation that drops the last bit of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from bl_neuro.mitigations.base import Mitigation
from bl_neuro.reveals import Reveals


@dataclass(frozen=True)
class ToyEven(Mitigation):
    """Counts are rounded down to multiples of `multiple`."""

    name: ClassVar[str] = "toy_even"
    title: ClassVar[str] = "Coarse counts"
    acts_on: ClassVar[tuple[Reveals, ...]] = ("counts", "label")
    phrase: ClassVar[str] = "counts in {setting}"

    multiple: int = 2

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"multiples of {self.multiple}"

    def output(self, shown: Tensor, reveals: Reveals, rng: np.random.Generator) -> Tensor:
        """See `Mitigation.output`."""
        return shown - shown % self.multiple
