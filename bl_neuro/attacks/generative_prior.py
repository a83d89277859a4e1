"""Black-box inversion with a generative prior: a search among the images that a decoder of public images can draw."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.auxiliary_box import AuxiliaryBox
from bl_neuro.attacks.base import Access, Attack, Need, Progress, TargetView, View
from bl_neuro.attacks.cma_es import WIDEST, optimiser_class
from bl_neuro.attacks.fitness import named
from bl_neuro.attacks.image_decoder import trained_decoder
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.query_search import Stopping, keeping
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.attacks.warm_start import affordable_probes
from bl_neuro.seeding import derived_seed, stream


@dataclass(frozen=True, kw_only=True)
class GenerativePrior(Attack[AuxiliaryBox]):
    """Searches the latent space of a decoder that is trained on the attacker's own images, with CMA-ES.

    The decoder belongs to a variational autoencoder; see `ImageDecoder`. Its training needs no queries and no labels. A
    warm start of images of random latent vectors z ~ N(0, 1), shared by all classes, gives each class its first mean:
    the mean of the vectors that the target assigns to it, or else the one with the most evidence. CMA-ES then maximises
    evidence - prior_weight |z|^2 / 2, the evidence of `BrainLeaksV2`, and the decoded mean of CMA-ES is the inversion.
    Labels are no measure of evidence: for them |z|^2 becomes the squared distance from the mean of all vectors that the
    target assigned to the class, and this mean is decoded. Images become spikes by a rate code.

    queries: per class, after the warm start. warm_start: number of images in it. population: queries per class and
    generation. latent, hidden: numbers of latent values and of hidden units of encoder and decoder. training_steps: of
    64 images each, about a second per 400 for small images. sigma: initial standard deviation of CMA-ES, in standard
    deviations of the latent vectors. prior_weight: see above; 0 for no preference among the decoder's images.

    Requires the package `cmaes`, and auxiliary images of the attacker.

    Source: search in a latent space with answers only as in Han et al. 2023 (RLB-MI) and An et al. 2022 (MIRROR); the
    decoder, Kingma and Welling 2014; Hansen 2016 (CMA-ES), as implemented in `cmaes`. All values are chosen here.
    """

    name: ClassVar[str] = "generative_prior"
    title: ClassVar[str] = "generative prior"
    access: ClassVar[Access] = "black_box"
    needs: ClassVar[tuple[Need, ...]] = ("auxiliary",)
    modules: ClassVar[tuple[str, ...]] = ("cmaes",)
    extra: ClassVar[str] = "peers"

    queries: int = 512
    warm_start: int = 640
    population: int = 16
    latent: int = 8
    hidden: int = 128
    training_steps: int = 1500
    sigma: float = 0.5
    prior_weight: float = 0.02

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        fewest = {"queries": 1, "warm_start": 0, "population": 4, "latent": 2, "hidden": 1, "training_steps": 1}
        counts = [
            f"{name}: expected a whole number of at least {low}, found {getattr(self, name)}"
            for name, low in fewest.items()
            if getattr(self, name) < low
        ]
        rules = [
            (0 < self.sigma <= WIDEST, f"sigma: expected above 0, at most {WIDEST:g}, found {self.sigma}"),
            (0 <= self.prior_weight < math.inf, f"prior_weight: expected at least 0, found {self.prior_weight}"),
        ]
        return [*counts, *(message for holds, message in rules if not holds)]

    @classmethod
    def box_type(cls) -> type[View]:
        """See `Attack.box_type`."""
        return AuxiliaryBox

    def open_box(self, view: TargetView) -> AuxiliaryBox:
        """See `Attack.open_box`: the target and the attacker's images."""
        return AuxiliaryBox(view.black_box(), view.auxiliary_images())

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`."""
        return self.warm_start + self.queries * classes

    def within(self, budget: int, classes: int) -> GenerativePrior:
        """See `Attack.within`: the warm start uses at most half of the budget, and the classes share the rest."""
        warm_start = min(self.warm_start, budget // 2)
        return replace(self, warm_start=warm_start, queries=max(1, (budget - warm_start) // classes))

    def assumptions(self, box: AuxiliaryBox) -> list[str]:
        """See `Attack.assumptions`: that the attacker's images resemble the inputs."""
        return [box.assumption]

    def _invert(self, box: AuxiliaryBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        oracle = RateOracle(box.deployed, classes, steps, stream(seed, f"attack {self.name} spikes"))
        generations = -(-self.queries // self.population)
        run = _Run(self, oracle, box.images, seed)
        stopping = Stopping(progress, generations + 1, None)
        with keeping(lambda: run.result(Status.STOPPED)):
            whole = run.warm_up()
            stopping.after(1)
            for generation in range(generations if stopping.status is None else 0):
                wanted = min(self.population, self.queries - generation * self.population)
                size = oracle.affordable(wanted, len(classes))
                whole = whole and size == wanted
                if size == 0:
                    break
                run.generation(size)
                if not stopping.after(generation + 2):
                    break
        return run.result(stopping.status or (Status.COMPLETED if whole else Status.BUDGET_SPENT))


class _Run:
    """One run: its decoder, the optimiser of each class, and the vectors that the target assigned to each class."""

    def __init__(self, plan: GenerativePrior, oracle: RateOracle, images: FloatArray, seed: int) -> None:
        self.plan, self.oracle, self.seed = plan, oracle, seed
        self.course, self.rng = oracle.course(), stream(seed, f"attack {plan.name}")
        self._kind = optimiser_class("CMA", plan.name)
        inputs = images.reshape(len(images), *oracle.input_shape)
        self.decoder = trained_decoder(inputs, plan.latent, plan.hidden, plan.training_steps, seed)
        count = len(oracle.classes)
        self.sums, self.hits = np.zeros((count, plan.latent)), np.zeros(count)
        self.optimisers: list[Any] = []
        self.start(np.zeros((count, plan.latent)))

    def start(self, means: FloatArray) -> None:
        """Starts CMA-ES for each class at its mean (K, latent)."""
        seeds = np.random.SeedSequence(derived_seed(self.seed, f"attack {self.plan.name} search"))
        numbers = seeds.generate_state(len(means)).tolist()
        settings = {"sigma": self.plan.sigma, "population_size": self.plan.population}
        self.optimisers = [self._kind(mean=mean, seed=own, **settings) for mean, own in zip(means, numbers)]

    def warm_up(self) -> bool:
        """Queries images of random vectors and starts each class at its own. Returns whether all were queried."""
        plan, classes = self.plan, self.oracle.classes
        count = affordable_probes(self.oracle.remaining, plan.warm_start, plan.queries * len(classes))
        if count == 0:
            return plan.warm_start == 0
        latents = self.rng.normal(size=(count, plan.latent))
        evidences = self.oracle.evidence(self.decoder.decode(latents))
        self.remember(np.repeat(latents[:, None], len(classes), axis=1), named(evidences)[:, None] == classes)
        best = latents[evidences[:, classes].argmax(axis=0)]
        self.start(np.where(self.hits[:, None] > 0, self.centres, best))
        self.add(evidences[:, classes].mean(axis=0))
        return count == plan.warm_start

    def generation(self, size: int) -> None:
        """Queries `size` images per class. CMA-ES learns from them if they are a whole generation."""
        latents = np.stack([[optimiser.ask() for optimiser in self.optimisers] for _ in range(size)])
        evidences = self.oracle.evidence(self.decoder.decode(latents).reshape(-1, *self.oracle.input_shape))
        self.remember(latents, named(evidences).reshape(size, -1) == self.oracle.classes)
        fitness = self.oracle.own(evidences)
        origin = self.centres if self.oracle.reveals == "label" else 0.0
        rated = fitness - self.plan.prior_weight / 2 * np.square(latents - origin).sum(axis=2)
        for column, optimiser in enumerate(self.optimisers if size == self.plan.population else []):
            optimiser.tell(list(zip(latents[:, column], -rated[:, column])))
        self.add(fitness.mean(axis=0))

    def remember(self, latents: FloatArray, hits: FloatArray) -> None:
        """Adds the vectors (n, K, latent) that the target assigned to their class: hits (n, K)."""
        self.sums += np.where(hits[:, :, None], latents, 0.0).sum(axis=0)
        self.hits += hits.sum(axis=0)

    @property
    def centres(self) -> FloatArray:
        """The mean of the vectors that the target assigned to each class, (K, latent); 0 for none."""
        return np.asarray(self.sums / np.maximum(self.hits, 1.0)[:, None])

    def add(self, fitness: FloatArray) -> None:
        """Adds an entry to the trace."""
        self.course.add(fitness, self.reconstruction())

    def reconstruction(self) -> FloatArray:
        """The current image of each class, (K, *input_shape)."""
        means = np.stack([optimiser.mean for optimiser in self.optimisers])
        accepted = (self.oracle.reveals == "label") & (self.hits[:, None] > 0)
        return self.decoder.decode(np.where(accepted, self.centres, means))

    def result(self, status: Status) -> Inversions:
        """The inversions, with spikes that are independent in every step."""
        rates = self.reconstruction()
        spikes = self.oracle.spikes(rates)
        return self.course.inversions(self.plan.name, self.seed, status, spikes, torch.from_numpy(rates).float())
