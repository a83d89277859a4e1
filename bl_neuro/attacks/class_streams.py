"""Chance drawn for each inversion apart, so that classes inverted together or one by one come out the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bl_neuro.seeding import stream


class ClassStreams:
    """One generator for each of `classes`, from the seed, the class and how often it was named before."""

    def __init__(self, seed: int, purpose: str, classes: Sequence[int]) -> None:
        named: Counter[int] = Counter()
        self._generators = []
        for label in classes:
            self._generators.append(stream(seed, purpose, label, named[label]))
            named[label] += 1

    def uniform(self, *shape: int) -> Tensor:
        """Numbers (K, *shape), float32, drawn evenly from 0..1, 1 excluded."""
        draws = np.empty((len(self._generators), *shape), dtype=np.float32)
        for generator, into in zip(self._generators, draws):
            generator.random(dtype=np.float32, out=into)
        return torch.from_numpy(draws)
