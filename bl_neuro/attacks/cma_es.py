"""A peer of BrainLeaks v2: the separable CMA evolution strategy on rates."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.peer_search import PeerSearch, Searcher
from bl_neuro.errors import InputError, MissingDependency

WIDEST = 1e3
"""Largest sigma: rates are in 0..1, and the package gives up where numbers overflow."""


@dataclass(frozen=True, kw_only=True)
class CmaEs(PeerSearch):
    """Moves the rates of the warm start by z, the image priors' shape of a vector that a separable CMA-ES searches.

    A query draws a frame b ~ Bernoulli(clip(rates + z, 0, 1)) and holds it. `rates` of the inversions are those of the
    mean vector; their spikes are drawn anew in every step. A generation that the queries or the budget cut short
    teaches it nothing. sigma: how far a rate moves at first, as a standard deviation, once the priors have shaped the
    move. population: at least 2.

    Needs the package `cmaes`.

    Source: Ros and Hansen 2008 (sep-CMA-ES), as in the package `cmaes`.
    """

    name: ClassVar[str] = "cma_es"
    title: ClassVar[str] = "CMA-ES"
    modules: ClassVar[tuple[str, ...]] = ("cmaes",)
    extra: ClassVar[str] = "peers"

    sigma: float = 0.5

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        rules = [
            (0 < self.sigma <= WIDEST, f"sigma: expected above 0, at most {WIDEST:g}, found {self.sigma}"),
            (self.population != 1, "population: expected at least 2, found 1"),
        ]
        return [*super().problems(), *(message for holds, message in rules if not holds)]

    def searcher(self, rates: FloatArray, prior: ImagePrior, seed: int) -> Searcher:
        """See `PeerSearch.searcher`."""
        return _Cma(self, rates, prior, seed)


class _Cma(Searcher):
    """One optimiser a class, of the library; what it asked (size, K, inputs) until it is told."""

    def __init__(self, plan: CmaEs, rates: FloatArray, prior: ImagePrior, seed: int) -> None:
        super().__init__(rates)
        self._start, self._prior, self._stroke = rates, prior, plan.stroke
        inputs = rates[0].size
        if inputs < 2:
            raise InputError(f"cma_es: expected at least 2 inputs to search, found {inputs}")
        *seeds, last = np.random.SeedSequence(seed).generate_state(len(rates) + 1).tolist()
        self._rng = np.random.default_rng(last)
        make = _optimiser()
        self._optimisers = [
            make(mean=np.zeros(inputs), sigma=plan.sigma, seed=own, population_size=plan.population) for own in seeds
        ]
        self._gain = 1.0 / _spread(prior, rates.shape[1:])
        self._asked: FloatArray = np.zeros((0, len(rates), inputs))

    @property
    def rates(self) -> FloatArray:
        """See `Searcher.rates`."""
        means = np.stack([optimiser.mean for optimiser in self._optimisers])
        return np.asarray(self._moved(means[None])[0])

    def ask(self, size: int) -> FloatArray:
        """See `Searcher.ask`."""
        self._asked = np.stack([[optimiser.ask() for optimiser in self._optimisers] for _ in range(size)])
        moved = self._moved(self._asked)
        chance = self._prior.uniform(moved.shape[:2], self._stroke, self._rng)
        return np.asarray((chance < moved).astype(np.float64))

    def learn(self, frames: FloatArray, fitness: FloatArray) -> None:
        """Tells each optimiser what its vectors were worth."""
        for column, optimiser in enumerate(self._optimisers):
            if len(frames) == optimiser.population_size:
                optimiser.tell(list(zip(self._asked[:, column], -fitness[:, column])))

    def _moved(self, vectors: FloatArray) -> FloatArray:
        """Rates (n, K, *input_shape) for vectors (n, K, inputs)."""
        shaped = self._gain * self._prior.shape(vectors.reshape(-1, *self._start.shape[1:]))
        moved: FloatArray = np.clip(self._start + shaped.reshape(-1, *self._start.shape), 0.0, 1.0)
        return moved


def _spread(prior: ImagePrior, shape: tuple[int, ...]) -> float:
    """What a prior leaves of the standard deviation of white noise, at the input where it leaves most."""
    if not prior.active:
        return 1.0
    noise = prior.shape(np.random.default_rng(0).normal(size=(256, *shape)))
    return float(np.sqrt(np.square(noise).mean(axis=0)).max())


def _optimiser() -> Any:
    try:
        return import_module("cmaes").SepCMA
    except ImportError as error:
        raise MissingDependency(
            'cma_es: the package cmaes is not installed; install it with: pip install "bl-neuro[peers]"'
        ) from error
