"""The course of a white-box attack as it is written down."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bl_neuro.attacks.inversions import Trace


class Counting(Protocol):
    """A box that counts the samples it ran."""

    queries: int


class WhiteBoxTrace:
    """Collects a `Trace`. `queries`: samples that the box has run since it began."""

    def __init__(self, box: Counting) -> None:
        self._box, self._before = box, box.queries
        self._entries: list[tuple[int, Tensor, Tensor]] = []

    @property
    def queries(self) -> int:
        """Samples run so far."""
        return self._box.queries - self._before

    def add(self, objective: Tensor, rates: Tensor) -> None:
        """One entry: the objective (K,) and the reconstruction (K, *input_shape) that it was measured at."""
        self._entries.append((self.queries, objective.float(), rates.float()))

    def finished(self) -> Trace:
        """The trace, one entry for each call of `add`."""
        queries, objectives, rates = zip(*self._entries)
        return Trace(torch.as_tensor(queries), torch.stack(objectives), torch.stack(rates))
