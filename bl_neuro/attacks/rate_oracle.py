"""The answers of a black box to grey images, which become spikes by a rate code."""

from __future__ import annotations

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.query_search import MOST_BYTES, PatternOracle


class RateOracle(PatternOracle):
    """The evidence for `classes` (K) in the answers of a black box to images (B, *input_shape) in 0..1.

    Each pixel spikes in each step with the probability of its value, independently. A search that looks for images
    instead of patterns of spikes sees this noise in the answers. rng: draws the spikes.
    """

    def __init__(self, box: BlackBox, classes: list[int], steps: int, rng: np.random.Generator) -> None:
        super().__init__(box, classes, steps)
        self._rng = rng

    def affordable(self, wanted: int, each: int = 1) -> int:
        """The largest number of groups of `each` queries, at most `wanted`, that the budget allows."""
        return wanted if self.remaining is None else min(wanted, self.remaining // each)

    def evidence(self, frames: FloatArray) -> FloatArray:
        """The evidence (B, C) for all classes in the answers to images (B, *input_shape). Costs B queries."""
        most = max(1, MOST_BYTES // (8 * self.steps * int(np.prod(self.input_shape))))
        parts = [frames[first : first + most] for first in range(0, len(frames), most)]
        answers = [self._box.query(self.spikes(part)) for part in parts]
        return np.concatenate([evidence(answer, self._box.reveals, self._box.classes) for answer in answers])

    def spikes(self, images: FloatArray) -> torch.Tensor:
        """Spikes (T, B, *input_shape) of images (B, *input_shape)."""
        drawn = self._rng.random((self.steps, *images.shape)) < images
        return torch.from_numpy(drawn.astype(np.uint8))
