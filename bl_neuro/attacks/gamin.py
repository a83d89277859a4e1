"""GAMIN for spiking networks: a generator and a surrogate of the target, trained together from answers to queries."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Access, Progress
from bl_neuro.attacks.image_prior import AttackWithPriors, ImagePrior
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.query_search import Stopping, keeping
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.seeding import derived_seed, stream

SAMPLES = 16
"""Number of generated images of a class whose mean is its inversion."""
DENSITIES = (0.1, 0.5)
"""Range of the densities of random images."""
MEMORY_BATCH = 128
"""Number of remembered answers in one update of the surrogate."""


@dataclass(frozen=True, kw_only=True)
class Gamin(AttackWithPriors[BlackBox]):
    """Trains a generator of images for each class against a surrogate of the target, which learns from its answers.

    In each round the target answers generated images G_c(z), z ~ N(0, 1), and random images. The surrogate S minimises
    H(f(x), S(x)) - k H(c, S(G_c(z))), and the generator of class c minimises H(c, S(G_c(z))); f(x) is the answer, H the
    cross-entropy. The second term keeps the surrogate from accepting what the generator makes before the target does.
    Its weight k follows k <- clip(k + balance_rate (balance H(f(x), S(x)) - H(c, S(G_c(z)))), 0, 1). Images become
    spikes by a rate code, and answers become distributions over classes: scores as they are, counts by
    softmax(counts / 2), a label as a certainty.

    queries: per class. batch: queries per class and round. noise: fraction of them that are random images, each with a
    density drawn from 0.1..0.5. latent, hidden: numbers of values of z, and of hidden units of each network. updates:
    steps of Adam per round for either network. learning_rate: of Adam. balance, balance_rate: see above. base_rate:
    brightness of the first generated images. blur, window, image_shape: see `AttackWithPriors`; blur=0 for a generator
    without assumptions about pixels.

    The inversion is the mean of 16 generated images, as a rate code; the trace has their mean and the mean evidence in
    the target's answers to the generated images of a round.

    From the papers: a surrogate and a generator that are trained in turn on answers only, the surrogate's adversarial
    term with a balance as in BEGAN, random images beside generated ones, rate-coded inputs and decoded spike counts.
    Chosen here, since the papers allow themselves far more queries: one surrogate and its random queries shared by all
    classes, all earlier answers kept for training, both networks with one hidden layer, the blur, and all values. The
    losses follow descriptions of the method and were not compared with the authors' code, so details may differ.

    Source: GAMIN, Aïvodji et al. 2019 (arXiv 1909.11835); for spiking networks, Poursiami et al. 2025 (arXiv
    2502.05509); the balance, Berthelot et al. 2017 (BEGAN).
    """

    name: ClassVar[str] = "gamin"
    title: ClassVar[str] = "GAMIN"
    access: ClassVar[Access] = "black_box"

    queries: int = 640
    batch: int = 16
    noise: float = 0.5
    latent: int = 16
    hidden: int = 128
    updates: int = 10
    learning_rate: float = 2e-3
    balance: float = 0.5
    balance_rate: float = 1e-3
    base_rate: float = 0.2
    blur: float = 0.6

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        counts = [
            f"{name}: expected a whole number of at least 1, found {getattr(self, name)}"
            for name in ("queries", "batch", "latent", "hidden", "updates")
            if getattr(self, name) < 1
        ]
        rules = [
            (0 <= self.noise < 1, f"noise: expected at least 0 and below 1, found {self.noise}"),
            (0 < self.learning_rate <= 1, f"learning_rate: expected above 0, at most 1, found {self.learning_rate}"),
            (0 <= self.balance < math.inf, f"balance: expected at least 0, found {self.balance}"),
            (0 <= self.balance_rate < math.inf, f"balance_rate: expected at least 0, found {self.balance_rate}"),
            (0 < self.base_rate < 1, f"base_rate: expected between 0 and 1, found {self.base_rate}"),
        ]
        return [*super().problems(), *counts, *(message for holds, message in rules if not holds)]

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`."""
        return self.queries * classes

    def within(self, budget: int, classes: int) -> Gamin:
        """See `Attack.within`: all classes share the budget."""
        return replace(self, queries=max(1, budget // classes))

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        run = _Run(self, RateOracle(box, classes, steps, stream(seed, "attack gamin spikes")), seed)
        rounds = -(-self.queries // self.batch)
        stopping, whole = Stopping(progress, rounds, None), True
        with keeping(lambda: run.result(Status.STOPPED)):
            for number in range(rounds):
                wanted = min(self.batch, self.queries - number * self.batch)
                size = run.oracle.affordable(wanted, len(classes))
                whole = size == wanted
                if size > 0:
                    run.round(size)
                if not whole or not stopping.after(number + 1):
                    break
        return run.result(stopping.status or (Status.COMPLETED if whole else Status.BUDGET_SPENT))


class _Run:
    """One run: its oracle, both networks, the answers so far, and the weight k of the adversarial term."""

    def __init__(self, plan: Gamin, oracle: RateOracle, seed: int) -> None:
        self.plan, self.oracle, self.seed = plan, oracle, seed
        self.course, self.prior = oracle.course(), plan.prior(oracle.input_shape)
        self.rng = stream(seed, "attack gamin")
        self.draws = torch.Generator().manual_seed(derived_seed(seed, "attack gamin networks"))
        self.generators = _Generators(plan, self.prior, oracle.input_shape, len(oracle.classes), self.draws)
        self.surrogate = _Surrogate(plan, oracle.input_shape, oracle.outputs, self.draws)
        self.shown = torch.randn(SAMPLES, len(oracle.classes), plan.latent, generator=self.draws)
        self.images, self.answers = torch.zeros(0, *oracle.input_shape), torch.zeros(0, oracle.outputs)
        self.weight = 0.0

    def round(self, size: int) -> None:
        """Queries `size` images per class, generated ones and random ones, and trains both networks."""
        count = len(self.oracle.classes)
        generated = size - int(self.plan.noise * size)
        with torch.no_grad():
            made = self.generators.images(self.latents(generated)).reshape(-1, *self.oracle.input_shape)
        random = self.prior.probes((size - generated) * count, DENSITIES, 0.0, self.rng)
        queried = np.concatenate([made.double().numpy(), random])
        evidences = self.oracle.evidence(queried)
        self.images = torch.cat([self.images, torch.from_numpy(queried).float()])
        self.answers = torch.cat([self.answers, distributions(evidences, self.oracle.reveals == "label")])
        for _ in range(self.plan.updates):
            self.update()
        self.course.add(self.oracle.own(evidences[: generated * count]).mean(axis=0), self.reconstruction())

    def update(self) -> None:
        """One step of Adam for the surrogate and one for the generators."""
        chosen = torch.from_numpy(self.rng.integers(len(self.images), size=min(MEMORY_BATCH, len(self.images))))
        with torch.no_grad():
            made = self.generators.images(self.latents(SAMPLES))
        faithful = F.cross_entropy(self.surrogate.logits(self.images[chosen]), self.answers[chosen])
        fooled = self.fooled(made)
        self.surrogate.step(faithful - self.weight * fooled)
        self.generators.step(self.fooled(self.generators.images(self.latents(SAMPLES))))
        drift = self.plan.balance * faithful.item() - fooled.item()
        self.weight = min(max(self.weight + self.plan.balance_rate * drift, 0.0), 1.0)

    def fooled(self, made: Tensor) -> Tensor:
        """The mean cross-entropy of the surrogate's outputs for images (n, K, *input_shape) with their classes."""
        classes = torch.from_numpy(self.oracle.classes).repeat(len(made))
        return F.cross_entropy(self.surrogate.logits(made.flatten(0, 1)), classes)

    def latents(self, count: int) -> Tensor:
        """Random latent vectors, (count, K, latent)."""
        return torch.randn(count, len(self.oracle.classes), self.plan.latent, generator=self.draws)

    def reconstruction(self) -> FloatArray:
        """The mean generated image of each class, (K, *input_shape)."""
        with torch.no_grad():
            return np.asarray(self.generators.images(self.shown).double().mean(0).clamp(0, 1).numpy())

    def result(self, status: Status) -> Inversions:
        """The inversions, with spikes that are independent in every step."""
        rates = self.reconstruction()
        return self.course.inversions(
            self.plan.name, self.seed, status, self.oracle.spikes(rates), torch.from_numpy(rates).float()
        )


def distributions(evidences: FloatArray, certain: bool) -> Tensor:
    """Evidence (B, C) as distributions over classes; see `evidence`. certain: whether it is 0 or 1, of labels."""
    return torch.from_numpy(evidences if certain else np.exp(evidences)).float()


class _Generators:
    """One network per class, from latent vectors to images, all trained by one optimiser."""

    def __init__(
        self, plan: Gamin, prior: ImagePrior, input_shape: tuple[int, ...], classes: int, draws: torch.Generator
    ) -> None:
        inputs = math.prod(input_shape)
        self._shape, self._mask = input_shape, torch.from_numpy(prior.mask).float()
        self._image = input_shape if len(input_shape) == 3 else (1, *(plan.image_shape or (1, inputs)))
        self._blurs = [_blur(side, plan.blur if prior.is_image else 0.0) for side in self._image[1:]]
        self._base = math.log(plan.base_rate / (1 - plan.base_rate))
        self._first = _weights((classes, plan.latent, plan.hidden), plan.latent, draws)
        self._second = _weights((classes, plan.hidden, inputs), plan.hidden, draws)
        self._offset = torch.zeros(classes, 1, inputs, requires_grad=True)
        self._optimiser = torch.optim.Adam([self._first, self._second, self._offset], plan.learning_rate)

    def images(self, latents: Tensor) -> Tensor:
        """Images (n, K, *input_shape) in 0..1 for latent vectors (n, K, latent)."""
        hidden = torch.relu(latents.transpose(0, 1) @ self._first)
        values = (hidden @ self._second + self._offset).transpose(0, 1).reshape(*latents.shape[:2], *self._image)
        down, across = self._blurs
        blurred = (down @ values @ across).reshape(*latents.shape[:2], *self._shape)
        return torch.sigmoid(blurred + self._base) * self._mask

    def step(self, loss: Tensor) -> None:
        """One step down `loss`."""
        _descend(self._optimiser, loss)


class _Surrogate:
    """A network with one hidden layer that imitates the target."""

    def __init__(self, plan: Gamin, input_shape: tuple[int, ...], outputs: int, draws: torch.Generator) -> None:
        inputs = math.prod(input_shape)
        self._first = _weights((inputs, plan.hidden), inputs, draws)
        self._second = _weights((plan.hidden, outputs), plan.hidden, draws)
        self._offsets = [torch.zeros(plan.hidden, requires_grad=True), torch.zeros(outputs, requires_grad=True)]
        self._optimiser = torch.optim.Adam([self._first, self._second, *self._offsets], plan.learning_rate)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, *input_shape)."""
        hidden = torch.relu(images.flatten(1) @ self._first + self._offsets[0])
        return hidden @ self._second + self._offsets[1]

    def step(self, loss: Tensor) -> None:
        """One step down `loss`."""
        _descend(self._optimiser, loss)


LEAST_BLUR = 0.01
"""A blur of fewer pixels leaves images as they are; SciPy divides by its square."""


def _blur(side: int, blur: float) -> Tensor:
    """The blur of one axis of an image as a symmetric matrix (side, side), with 0 outside the image."""
    identity = np.eye(side)
    if blur < LEAST_BLUR:
        return torch.from_numpy(identity).float()
    return torch.from_numpy(gaussian_filter1d(identity, blur, mode="constant")).float()


def _weights(shape: tuple[int, ...], fan_in: int, draws: torch.Generator) -> Tensor:
    return (torch.randn(shape, generator=draws) / math.sqrt(fan_in)).requires_grad_()


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
