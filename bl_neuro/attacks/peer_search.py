"""Common code of optimisers that are compared with BrainLeaks v2: same fitness, budget, priors and warm start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Progress
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.query_search import PatternOracle, QuerySearch, Stopping, keeping
from bl_neuro.attacks.warm_start import affordable_probes, first_rates, probe_weights
from bl_neuro.seeding import derived_seed, stream


class Searcher(ABC):
    """An optimiser of frames for K classes at once, starting from rates (K, *input_shape).

    It keeps the fittest queried frame of each class. Before the first query, that is the frame of the pixels with rates
    above their mean.
    """

    one_by_one: ClassVar[bool] = False
    """Whether each frame depends on the fitness of the previous one, so that frames are queried one by one."""

    def __init__(self, rates: FloatArray) -> None:
        inputs = tuple(range(1, rates.ndim))
        self.best: FloatArray = (rates > np.median(rates, axis=inputs, keepdims=True)).astype(np.float64)
        self.best_fitness: FloatArray = np.full(len(rates), -np.inf)

    @property
    def rates(self) -> FloatArray | None:
        """The rates (K, *input_shape) that inversions are drawn from; None if the best frames are the inversions."""
        return None

    @abstractmethod
    def ask(self, size: int) -> FloatArray:
        """The next frames to query, (size, K, *input_shape), 0 or 1."""

    @abstractmethod
    def learn(self, frames: FloatArray, fitness: FloatArray) -> None:
        """Learns from the fitness (size, K) of the frames from `ask`."""

    def tell(self, frames: FloatArray, fitness: FloatArray) -> None:
        """Updates the best frames from the fitness (size, K) of the frames from `ask`; of equal frames, the first."""
        for column, row in enumerate(fitness.argmax(axis=0)):
            if fitness[row, column] > self.best_fitness[column]:
                self.best_fitness[column] = fitness[row, column]
                self.best[column] = frames[row, column]
        self.learn(frames, fitness)


@dataclass(frozen=True, kw_only=True)
class PeerSearch(QuerySearch):
    """A black-box search for a constant frame per class under the conditions of BrainLeaksV2.

    Fitness, priors, warm start and budget are those of v2. The handling of silent targets that reveal labels is
    specific to v2 and missing here. For the settings see `QuerySearch`. With jitter above 0, a frame gets the fitness
    of its shifted copy, which misleads a search that keeps its fittest frame, so compare at jitter 0. The objective in
    the trace is the mean fitness of a generation.
    """

    @abstractmethod
    def searcher(self, rates: FloatArray, prior: ImagePrior, seed: int) -> Searcher:
        """The optimiser, starting from rates (K, *input_shape). `seed` is the seed of all its random numbers."""

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        run = _Run(self, PatternOracle(box, classes, steps), seed)
        generations = -(-self.queries // self.population)
        stopping = Stopping(progress, generations + 1, self.patience)
        stopping.after(1)
        with keeping(lambda: run.result(Status.STOPPED)):
            for generation in range(generations if stopping.status is None else 0):
                if not run.generation(min(self.population, self.queries - generation * self.population)):
                    break
                if not stopping.after(generation + 2, run.searcher.best_fitness):
                    break
        return run.result(stopping.status or run.status)


class _Run:
    """One run: its oracle, optimiser and trace. It starts with the warm start."""

    def __init__(self, plan: PeerSearch, oracle: PatternOracle, seed: int) -> None:
        self.plan, self.oracle, self.seed = plan, oracle, seed
        self.status = Status.COMPLETED
        self.course = oracle.course()
        prior = self.prior = plan.prior(oracle.input_shape)
        self.chance = stream(seed, f"attack {plan.name} jitter")
        rates: FloatArray = np.tile(plan.base_rate * prior.mask, (len(oracle.classes), *[1] * len(oracle.input_shape)))
        probes = affordable_probes(oracle.remaining, plan.warm_start, plan.queries * len(oracle.classes))
        if probes < plan.warm_start:
            self.status = Status.BUDGET_SPENT
        answers = np.zeros((0, len(oracle.classes)))
        if probes > 0:
            frames = plan.probes(probes, prior, stream(seed, "warm start"))
            evidences = oracle.evidence(frames)
            answers = evidences[:, oracle.classes]
            weights = probe_weights(evidences, oracle.classes)
            rates = first_rates(frames, weights, prior, plan.base_rate, plan.warm_amplitude)
        self.searcher = plan.searcher(rates, prior, derived_seed(seed, f"attack {plan.name}"))
        if probes > 0:
            self.remember(answers)

    def generation(self, wanted: int) -> bool:
        """Runs a generation of up to `wanted` queries per class. Returns whether the budget allowed all of them."""
        remaining = self.oracle.remaining
        size = wanted if remaining is None else min(wanted, remaining // len(self.oracle.classes))
        together = 1 if self.searcher.one_by_one else size
        fitness = [self.ask(together) for _ in range(size // together if size else 0)]
        if fitness:
            self.remember(np.concatenate(fitness))
        if size < wanted:
            self.status = Status.BUDGET_SPENT
        return size == wanted

    def ask(self, size: int) -> FloatArray:
        """Queries `size` frames per class and passes their fitness (size, K) to the optimiser."""
        frames = self.searcher.ask(size)
        shifts = self.prior.shifts(size * len(self.oracle.classes), self.plan.jitter, self.chance)
        asked = self.prior.shifted(frames.reshape(-1, *self.oracle.input_shape), shifts)
        fitness = self.oracle.own(self.oracle.evidence(asked))
        self.searcher.tell(frames, fitness)
        return fitness

    def remember(self, fitness: FloatArray) -> None:
        """Adds an entry to the trace."""
        self.course.add(fitness.mean(axis=0), self.reconstruction())

    def reconstruction(self) -> FloatArray:
        """The current result of the search, (K, *input_shape)."""
        return self.searcher.best if self.searcher.rates is None else self.searcher.rates

    def result(self, status: Status) -> Inversions:
        """The best frames, held for all steps, or samples of the optimiser's rates, independent in every step."""
        frames, steps = self.reconstruction(), self.oracle.steps
        chance = stream(self.seed, f"attack {self.plan.name} spikes")
        spikes = chance.random((steps, *frames.shape)) < frames
        rates = None if self.searcher.rates is None else torch.from_numpy(frames).float()
        return self.course.inversions(self.plan.name, self.seed, status, torch.from_numpy(spikes), rates)
