"""Separable CMA evolution strategy on spike rates, for comparison with BrainLeaks v2."""

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
"""Maximum of sigma; rates are in 0..1, and larger values would overflow in the package."""


@dataclass(frozen=True, kw_only=True)
class CmaEs(PeerSearch):
    """Adds to the rates of the warm start a vector z, which a separable CMA-ES optimises and the image priors shape.

    A query draws a frame b ~ Bernoulli(clip(rates + z, 0, 1)) and holds it for all steps. `rates` of the inversions are
    those of the mean vector; their spikes are drawn independently in every step. CMA-ES does not learn from a
    generation that the number of queries or the budget cuts short. sigma: initial standard deviation of a rate, after
    the priors have shaped z. population: at least 2.

    Requires the package `cmaes`.

    Source: Ros and Hansen 2008 (sep-CMA-ES), as implemented in `cmaes`.
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
    """One optimiser of the library per class. Keeps the vectors (size, K, inputs) of `ask` until `learn`."""

    def __init__(self, plan: CmaEs, rates: FloatArray, prior: ImagePrior, seed: int) -> None:
        super().__init__(rates)
        self._start, self._prior, self._stroke = rates, prior, plan.stroke
        inputs = rates[0].size
        if inputs < 2:
            raise InputError(f"cma_es: expected at least 2 inputs to search, found {inputs}")
        *seeds, last = np.random.SeedSequence(seed).generate_state(len(rates) + 1).tolist()
        self._rng = np.random.default_rng(last)
        make = optimiser_class("SepCMA", plan.name)
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
        """Passes the fitness of its vectors to each optimiser."""
        for column, optimiser in enumerate(self._optimisers):
            if len(frames) == optimiser.population_size:
                optimiser.tell(list(zip(self._asked[:, column], -fitness[:, column])))

    def _moved(self, vectors: FloatArray) -> FloatArray:
        """Rates (n, K, *input_shape) for vectors (n, K, inputs)."""
        shaped = self._gain * self._prior.shape(vectors.reshape(-1, *self._start.shape[1:]))
        moved: FloatArray = np.clip(self._start + shaped.reshape(-1, *self._start.shape), 0.0, 1.0)
        return moved


def _spread(prior: ImagePrior, shape: tuple[int, ...]) -> float:
    """The standard deviation of white noise after a prior, at the input where it is largest."""
    if not prior.active:
        return 1.0
    noise = prior.shape(np.random.default_rng(0).normal(size=(256, *shape)))
    return float(np.sqrt(np.square(noise).mean(axis=0)).max())


def optimiser_class(kind: str, attack: str) -> Any:
    """The optimiser named `kind` of the package `cmaes`. Raises MissingDependency without it, naming the attack."""
    try:
        return getattr(import_module("cmaes"), kind)
    except ImportError as error:
        raise MissingDependency(
            f'{attack}: the package cmaes is not installed; install it with: pip install "bl-neuro[peers]"'
        ) from error
