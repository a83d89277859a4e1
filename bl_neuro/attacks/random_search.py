"""Random search from the first guess, the simplest optimiser that BrainLeaks v2 is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.peer_search import PeerSearch, Searcher


@dataclass(frozen=True, kw_only=True)
class RandomSearch(PeerSearch):
    """Draws frames b ~ Bernoulli(rates of the warm start) and returns the fittest one, held for all steps."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "random search"

    def searcher(self, rates: FloatArray, prior: ImagePrior, seed: int) -> Searcher:
        """See `PeerSearch.searcher`."""
        return _Draws(rates, prior, self.stroke, seed)


class _Draws(Searcher):
    def __init__(self, rates: FloatArray, prior: ImagePrior, stroke: float, seed: int) -> None:
        super().__init__(rates)
        self._start, self._prior, self._stroke = rates, prior, stroke
        self._rng = np.random.default_rng(seed)

    def ask(self, size: int) -> FloatArray:
        """See `Searcher.ask`."""
        chance = self._prior.uniform((size, len(self._start)), self._stroke, self._rng)
        return np.asarray((chance < self._start).astype(np.float64))

    def learn(self, frames: FloatArray, fitness: FloatArray) -> None:
        """Does nothing, since all frames are drawn from the same rates."""
