"""BrainLeaks v2 as a real black-box attack: natural evolution strategies on Bernoulli rates, from queries alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Attack, Progress
from bl_neuro.attacks.fitness import SATURATING, centred_hits, centred_ranks, evidence, named
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.inversions import Inversions, Status, Trace
from bl_neuro.errors import InputError
from bl_neuro.seeding import stream


@dataclass(frozen=True)
class BrainLeaksV2(Attack[BlackBox]):
    """Searches for input rates that make the target name a class, seeing nothing but answers to queries.

    Rates theta in (0, 1), one an input, tied over time. A query draws b ~ Bernoulli(theta) and holds it for all
    steps. Queries come in antithetic pairs b = 1[u < theta], b' = 1[u > 1 - theta]; their answers become weights w
    (centred ranks); mean_i w_i (b_i - theta) estimates the natural gradient of the expected weight in the rates that
    were sampled, the Fisher matrix of a Bernoulli cancelling the score's denominator. G is four times that, a factor
    that belongs to the learning rate; V <- momentum V + (1 - momentum) G; theta <- theta + rate V.

    A shared warm start of random probes gives every class a first guess at once. Where answers saturate (counts,
    labels), queries are drawn from a mixture of theta and the base rate, which adapts so that about half of them name
    the class; the gradient is then that in the mixture's rates, and the trace's objective that of its samples.

    queries: a class, after the warm start. warm_start: probes, shared by all classes. population: queries a class and
    generation. blur, window: image priors, see `ImagePrior`. image_shape: (H, W) of a flat input. base_rate: where
    theta starts, 0..1. warm_amplitude: standard deviation of the first guess around it. probe_densities: range of the
    probes' densities. probe_blur: in pixels; above 0, probes of an image are blobs. floor: theta stays in
    floor..1-floor.

    Every query counts against the box's budget, the warm start included. Where the budget ends first, the search is
    returned as it stands, with status `budget_spent`. The inversion's spikes are drawn anew in every step, as a rate
    code is; they are not queried.

    Source: BrainLeaks (arXiv 2402.00906), second attack, described there as black box; Wierstra et al. 2014 (NES).
    """

    name: ClassVar[str] = "v2"
    access: ClassVar[str] = "black_box"

    queries: int = 512
    warm_start: int = 640
    population: int = 16
    learning_rate: float = 1.5
    momentum: float = 0.5
    blur: float = 0.6
    window: float | None = None
    image_shape: tuple[int, int] | None = None
    base_rate: float = 0.2
    warm_amplitude: float = 0.15
    probe_densities: tuple[float, float] = (0.1, 0.5)
    probe_blur: float = 0.0
    floor: float = 0.02

    def __post_init__(self) -> None:
        counts = {"queries": self.queries, "warm_start": self.warm_start, "population": self.population}
        fractions = [name for name, value in counts.items() if not isinstance(value, (int, np.integer))]
        if fractions:
            raise InputError(f"{', '.join(fractions)}: expected whole numbers")
        problems = [
            (
                self.queries >= 0 and self.queries % 2 == 0,
                f"queries: expected an even number of at least 0, found {self.queries}",
            ),
            (self.warm_start >= 0, f"warm_start: expected at least 0, found {self.warm_start}"),
            (self.queries + self.warm_start > 0, "queries and warm_start: expected at least one query"),
            (
                self.population >= 2 and self.population % 2 == 0,
                f"population: expected an even number of at least 2, found {self.population}",
            ),
            (self.learning_rate > 0, f"learning_rate: expected above 0, found {self.learning_rate}"),
            (0 <= self.momentum < 1, f"momentum: expected 0..1, found {self.momentum}"),
            (self.blur >= 0, f"blur: expected at least 0 pixels, found {self.blur}"),
            (self.window is None or self.window > 0, f"window: expected above 0 pixels, found {self.window}"),
            (0 < self.base_rate < 1, f"base_rate: expected between 0 and 1, found {self.base_rate}"),
            (0 < self.floor < 0.5, f"floor: expected between 0 and 0.5, found {self.floor}"),
            (
                0 <= self.probe_densities[0] <= self.probe_densities[1] <= 1,
                f"probe_densities: expected two rising values in 0..1, found {self.probe_densities}",
            ),
        ]
        wrong = [message for holds, message in problems if not holds]
        if wrong:
            raise InputError("; ".join(wrong))

    def assumptions(self, box: BlackBox) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return ImagePrior(box.input_shape, self.blur, self.window, self.image_shape).active

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        search = _Search(self, box, classes, steps, stream(seed, "attack v2"))
        generations = -(-self.queries // self.population)
        whole = search.warm_up()
        progress(1, generations + 1)
        for generation in range(generations):
            wanted = min(self.population, self.queries - generation * self.population)
            size = search.affordable(wanted)
            whole = whole and size == wanted
            if size < 2:
                break
            search.generation(size)
            progress(generation + 2, generations + 1)
        return search.result(Status.COMPLETED if whole else Status.BUDGET_SPENT, self.name, seed)


class _Search:
    """The state of one run: rates (K, *input_shape), their velocity, and how far queries keep from saturation."""

    def __init__(
        self, plan: BrainLeaksV2, box: BlackBox, classes: list[int], steps: int, rng: np.random.Generator
    ) -> None:
        self.plan, self.box, self.steps, self.rng = plan, box, steps, rng
        self.classes = np.asarray(classes)
        self.prior = ImagePrior(box.input_shape, plan.blur, plan.window, plan.image_shape)
        self.rates: FloatArray = np.full((len(classes), *box.input_shape), plan.base_rate)
        self.velocity: FloatArray = np.zeros_like(self.rates)
        self.away: FloatArray = np.zeros((len(classes), *[1] * len(box.input_shape)))
        self.spent_before = box.spent
        self.trace: list[tuple[int, FloatArray, FloatArray]] = []

    def affordable(self, wanted: int) -> int:
        """An even number of queries a class, at most `wanted`, that the budget still holds."""
        remaining = self.box.remaining
        most = wanted if remaining is None else min(wanted, remaining // len(self.classes))
        return most - most % 2

    def ask(self, frames: FloatArray) -> FloatArray:
        """Evidence (B, classes) of the answers to frames (B, *input_shape), each held for all steps."""
        held = torch.from_numpy(frames.astype(np.uint8))[None].expand(self.steps, *frames.shape)
        return evidence(self.box.query(held), self.box.reveals, self.box.classes)

    def probes(self) -> int:
        """How many probes to make; a budget too small for the plan is split between looking around and searching."""
        plan, remaining = self.plan, self.box.remaining
        if remaining is None or remaining >= plan.warm_start + plan.queries * len(self.classes):
            return plan.warm_start
        return min(plan.warm_start, max(remaining // 2, min(remaining, 1)))

    def warm_up(self) -> bool:
        """First rates of every class from one shared set of random probes: their average, weighted by the answers.

        Returns whether there were as many as planned.
        """
        plan, probes = self.plan, self.probes()
        if probes == 0:
            return plan.warm_start == 0
        frames = self.prior.probes(probes, plan.probe_densities, plan.probe_blur, self.rng)
        answers = self.ask(frames)[:, self.classes]
        image = np.tensordot(centred_ranks(answers), frames - frames.mean(axis=0), axes=(0, 0))
        image = self.prior.shape(image - self.mean_pixel(image))
        spread = image.reshape(len(image), -1).std(axis=1).reshape(self.away.shape)
        image = np.divide(image, spread, out=np.zeros_like(image), where=spread > 0)
        low, high = max(0.05, plan.floor), min(0.8, 1 - plan.floor)
        self.rates = np.clip(plan.base_rate + plan.warm_amplitude * image, low, high)
        self.remember(answers.mean(axis=0))
        return probes == plan.warm_start

    def generation(self, size: int) -> None:
        """One step of the search with `size` queries a class."""
        plan, count = self.plan, len(self.classes)
        drawn_from = (1 - self.away) * self.rates + self.away * plan.base_rate
        uniform = self.rng.random((size // 2, *self.rates.shape))
        frames = np.concatenate([uniform < drawn_from, uniform > 1 - drawn_from]).astype(np.float64)
        answers = self.ask(frames.reshape(-1, *self.box.input_shape)).reshape(size, count, -1)
        fitness = answers[:, np.arange(count), self.classes]
        hits = (named(answers.reshape(size * count, -1)).reshape(size, count) == self.classes).mean(axis=0)
        weights = centred_hits(fitness) if self.box.reveals == "label" else centred_ranks(fitness)
        shaped = weights.reshape(size, *self.away.shape)
        gradient = 4 * (shaped * (frames - drawn_from)).mean(axis=0)
        # While nothing names the class, silence beats every input that names another one: look elsewhere, not dimmer.
        gradient = gradient - self.mean_pixel(gradient) * (hits == 0).reshape(self.away.shape)
        gradient = self.prior.shape(gradient)
        self.velocity = plan.momentum * self.velocity + (1 - plan.momentum) * gradient
        self.rates = np.clip(self.rates + plan.learning_rate * self.velocity, plan.floor, 1 - plan.floor)
        if self.box.reveals in SATURATING:
            self.keep_informative(hits.reshape(self.away.shape))
        self.remember(fitness.mean(axis=0))

    def mean_pixel(self, directions: FloatArray) -> FloatArray:
        """How much each direction (K, *input_shape) brightens or dims the input as a whole, shaped to broadcast."""
        return np.asarray(directions.reshape(len(directions), -1).mean(axis=1).reshape(self.away.shape))

    def keep_informative(self, hit_rate: FloatArray) -> None:
        """Moves sampling away from rates that always name the class, and back towards those that never do."""
        further = np.where(hit_rate > 0.65, self.away * 1.3 + 0.02, self.away)
        self.away = np.clip(np.where(hit_rate < 0.35, self.away / 1.3, further), 0.0, 0.9)

    def remember(self, fitness: FloatArray) -> None:
        """Adds an entry to the trace."""
        self.trace.append((self.box.spent - self.spent_before, fitness, self.rates.astype(np.float32)))

    def result(self, status: Status, name: str, seed: int) -> Inversions:
        """The inversions: fresh Bernoulli draws of the rates in every step."""
        spikes = self.rng.random((self.steps, *self.rates.shape)) < self.rates
        queries, fitness, rates = zip(*self.trace) if self.trace else ((), (), ())
        count = len(self.classes)
        trace = Trace(
            torch.as_tensor(queries, dtype=torch.int64),
            torch.from_numpy(np.reshape(fitness, (-1, count))).float(),
            torch.from_numpy(np.reshape(rates, (-1, *self.rates.shape))).float(),
        )
        return Inversions(
            torch.from_numpy(spikes.astype(np.uint8)),
            torch.from_numpy(self.classes),
            torch.from_numpy(self.rates).float(),
            self.box.spent - self.spent_before,
            trace,
            status,
            name,
            seed,
        )
