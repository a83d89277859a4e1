"""A black box asked with frames: each is held for all steps of a query, and its answer becomes a number a class."""

from __future__ import annotations

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.fitness import evidence


class HeldOracle:
    """The evidence for `classes` (K) in a black box's answers to held frames. `spent`: queries since it was made."""

    def __init__(self, box: BlackBox, classes: list[int], steps: int) -> None:
        self.classes = np.asarray(classes)
        self.steps = steps
        self._box, self._before = box, box.spent

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self._box.input_shape

    @property
    def spent(self) -> int:
        """Queries spent since this oracle was made."""
        return self._box.spent - self._before

    @property
    def remaining(self) -> int | None:
        """Queries still to be spent, or None for no limit."""
        return self._box.remaining

    @property
    def reveals(self) -> str:
        """What the box reveals."""
        return self._box.reveals

    def evidence(self, frames: FloatArray) -> FloatArray:
        """How much the answers to frames (B, *input_shape), 0/1, speak for each class there is: (B, C). Costs B."""
        held = torch.from_numpy(frames.astype(np.uint8))[None].expand(self.steps, *frames.shape)
        return evidence(self._box.query(held), self._box.reveals, self._box.classes)

    def own_evidence(self, frames: FloatArray) -> FloatArray:
        """How much the answers to frames (n, K, *input_shape) speak for the class they are meant for: (n, K)."""
        return self.own(self.evidence(frames.reshape(-1, *self.input_shape)))

    def own(self, evidences: FloatArray) -> FloatArray:
        """Of evidence (n x K, C) for frames (n, K, *input_shape), that for the class each is meant for: (n, K)."""
        count = len(self.classes)
        return np.asarray(evidences.reshape(-1, count, evidences.shape[1])[:, np.arange(count), self.classes])
