"""(1+1) evolution strategy on the bits of a frame, for comparison with BrainLeaks v2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.peer_search import PeerSearch, Searcher

GROWTH = 1.5
"""Factor by which a better child raises the mutation rate; a worse child divides it by the fourth root of this."""
FIRST_FLIPS = 4.0
MOST_FLIPS = 0.25
"""Maximum fraction of inputs that mutate at once."""


@dataclass(frozen=True, kw_only=True)
class OnePlusOneEs(PeerSearch):
    """Mutates one frame per class and keeps the child if it is at least as fit. The inversion is that constant frame.

    The number of mutated inputs is binomial, and its mean follows the one-fifth rule: a better child raises it, a worse
    child lowers it. Without an image prior, random inputs flip. With an image prior, a blob of inputs is set to 0 or 1.
    A generation tests `population` children one after another. Each is a mutation of the best frame so far.

    Source: Doerr and Doerr 2018 (one-fifth rule for the (1+1) EA on bits).
    """

    name: ClassVar[str] = "one_plus_one"
    title: ClassVar[str] = "(1+1)-ES"

    def searcher(self, rates: FloatArray, prior: ImagePrior, seed: int) -> Searcher:
        """See `PeerSearch.searcher`."""
        return _Mutations(rates, prior, seed)


class _Mutations(Searcher):
    """The `parent` (K, *input_shape), its fitness, and the mean number of mutated inputs, each (K,)."""

    one_by_one = True

    def __init__(self, rates: FloatArray, prior: ImagePrior, seed: int) -> None:
        super().__init__(rates)
        self._prior, self._rng = prior, np.random.default_rng(seed)
        self._parent: FloatArray = (self._rng.random(rates.shape) < rates).astype(np.float64)
        self._fitness: FloatArray = np.full(len(rates), -np.inf)
        self._flips: FloatArray = np.full(len(rates), FIRST_FLIPS)

    def ask(self, size: int) -> FloatArray:
        """See `Searcher.ask`. The first frames are the parents themselves."""
        return (self._parent if np.isneginf(self._fitness).all() else self._children())[None]

    def learn(self, frames: FloatArray, fitness: FloatArray) -> None:
        """Replaces each parent by its child if the child is at least as fit."""
        children, child_fitness = frames[0], fitness[0]
        first = np.isneginf(self._fitness)
        better, kept = child_fitness > self._fitness, child_fitness >= self._fitness
        factor = np.where(first | (kept & ~better), 1.0, np.where(better, GROWTH, GROWTH**-0.25))
        self._flips = np.maximum(self._flips * factor, 1.0)
        self._parent[kept], self._fitness[kept] = children[kept], child_fitness[kept]

    def _children(self) -> FloatArray:
        """One mutated child of each parent."""
        flat = self._parent.reshape(len(self._parent), -1).copy()
        inputs = flat.shape[1]
        field = self._prior.shape(self._rng.normal(size=self._parent.shape)).reshape(flat.shape)
        for child, noise, flips in zip(flat, field, self._flips):
            count = max(1, self._rng.binomial(inputs, min(flips / inputs, MOST_FLIPS)))
            chosen = np.argpartition(-np.abs(noise), count - 1)[:count]
            child[chosen] = noise[chosen] > 0 if self._prior.active else 1.0 - child[chosen]
        return flat.reshape(self._parent.shape)
