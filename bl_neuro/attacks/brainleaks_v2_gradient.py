"""BrainLeaks v2 as its authors implemented it: gradient descent on spike probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.attacks.base import Access, Preset, Progress
from bl_neuro.attacks.gradient_search import (
    ClassStreams,
    ShapedGradientAttack,
    WhiteBoxTrace,
    class_gradient,
    class_log_score,
    class_score,
    samples_at_once,
)
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.backends.target import Response

Cost = Literal["score", "log_score"]
COSTS: tuple[str, ...] = ("score", "log_score")
LARGEST = 1e6
"""Maximum of learning rate and sparsity; larger values would overflow."""


@dataclass(frozen=True, kw_only=True)
class BrainLeaksV2Gradient(ShapedGradientAttack):
    """Optimises spike probabilities P, one per input and step, with gradients at sampled inputs. Starts at P = 0.

    Each of `iterations` draws x_i ~ Bernoulli(P), i = 1..samples, and computes

        c_i = 1 - J(x_i) + sparsity * density(x_i);   g_i = dc_i/dx_i;   G = sum(c_i g_i) / sum(c_i)
        S <- (smoothing + [hoarding]) S + (1 - smoothing) G^2;   M <- momentum M + G
        P <- max(P - learning_rate M / (sqrt(S) + epsilon), 0), divided by its maximum if that is above 1

    J = mean over t of softmax(output membrane)[c]. With cost "log_score", -mean over t of log softmax replaces 1 - J.
    The enabled priors modify the steps of P and not G, because the scaling by S would cancel a window on G. All classes
    run in one batch with separate random numbers, so the result for a class does not depend on the other classes.

    `rates` of the inversions are P, (T, K, *input_shape). Their spikes are one sample of P, which is run once, so that
    the trace ends with it. The objective in the trace is the negative mean cost.

    The defaults are the authors' settings for MNIST; `for_nmnist` and `for_gestures` are their other settings.
    hoarding: S accumulates all past gradients, so that steps shrink; the authors use it for MNIST only. Although the
    paper calls this attack black box, it needs gradients.

    Source: BrainLeaks (arXiv 2402.00906), second attack, in the authors' notebooks.
    """

    name: ClassVar[str] = "v2_gradient"
    title: ClassVar[str] = "v2 gradient"
    access: ClassVar[Access] = "white_box"

    iterations: int = 10
    samples: int = 7
    learning_rate: float = 1.0
    smoothing: float = 0.1
    hoarding: bool = True
    momentum: float = 0.9
    sparsity: float = 0.01
    cost: Cost = "score"
    epsilon: float = 1e-10

    @classmethod
    def for_nmnist(cls, **changes: Any) -> BrainLeaksV2Gradient:
        """The authors' settings for N-MNIST (100 steps)."""
        return cls(**{**_EVENTS, "learning_rate": 1e-3, "smoothing": 0.3, "sparsity": 0.3, **changes})

    @classmethod
    def for_gestures(cls, **changes: Any) -> BrainLeaksV2Gradient:
        """The authors' settings for DVS128 gestures (100 steps)."""
        return cls(**{**_EVENTS, "learning_rate": 0.1, "smoothing": 0.2, "sparsity": 0.1, **changes})

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """See `Attack.presets`."""
        return {
            "for_nmnist": Preset(cls.for_nmnist, "N-MNIST, in 100 steps", ("nmnist",), of_events=True),
            "for_gestures": Preset(cls.for_gestures, "DVS128 gestures, in 100 steps", ("dvs_gesture",), of_events=True),
        }

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        counts = {"iterations": self.iterations, "samples": self.samples}
        low_counts = [
            f"{name}: expected a whole number of at least 1, found {value}"
            for name, value in counts.items()
            if value < 1
        ]
        rules = [
            (
                0 < self.learning_rate <= LARGEST,
                f"learning_rate: expected above 0, at most {LARGEST:g}, found {self.learning_rate}",
            ),
            (0 <= self.smoothing < 1, f"smoothing: expected 0 or more, below 1, found {self.smoothing}"),
            (0 <= self.momentum < 1, f"momentum: expected 0 or more, below 1, found {self.momentum}"),
            (
                0 <= self.sparsity <= LARGEST,
                f"sparsity: expected at least 0, at most {LARGEST:g}, found {self.sparsity}",
            ),
            (self.cost in COSTS, f"cost: expected one of {', '.join(COSTS)}, found {self.cost!r}"),
            (0 < self.epsilon < math.inf, f"epsilon: expected above 0, found {self.epsilon}"),
        ]
        return [*super().problems(), *low_counts, *(message for holds, message in rules if not holds)]

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        search = _Search(self, box, classes, steps, seed)
        for iteration in range(self.iterations):
            search.improve()
            progress(iteration + 1, self.iterations)
        return search.result(seed)


_EVENTS: dict[str, Any] = {"samples": 5, "hoarding": False, "cost": "log_score", "epsilon": 1e-12}


class _Search:
    """The state of one run: probabilities, mean squared gradient and momentum, each (T, K, *input_shape)."""

    def __init__(self, plan: BrainLeaksV2Gradient, box: WhiteBox, classes: list[int], steps: int, seed: int) -> None:
        self.plan, self.box = plan, box
        self.classes = torch.as_tensor(classes)
        self.chance = ClassStreams(seed, "attack v2 gradient", classes)
        self.chances = torch.zeros(steps, len(classes), *box.input_shape, dtype=torch.float64)
        self.squares, self.velocity = torch.zeros_like(self.chances), torch.zeros_like(self.chances)
        self.trace = WhiteBoxTrace(box)

    def improve(self) -> None:
        """Takes one step along the weighted gradient of new samples."""
        plan = self.plan
        total = torch.zeros_like(self.chances)
        weights = torch.zeros(len(self.classes), dtype=total.dtype)
        count = self.samples
        for samples in self.draws(count):
            batch = samples.flatten(1, 2)
            costs, gradient = class_gradient(self.box, batch, self.classes.repeat(samples.shape[1]), self.costs)
            costs, gradient = self.with_density(costs.clamp(min=0.0), gradient, batch)
            costs, gradient = costs.unflatten(0, samples.shape[1:3]), gradient.unflatten(1, samples.shape[1:3])
            total += (gradient * self.over_inputs(costs)).sum(1)
            weights += costs.sum(0)
        self.trace.add(-weights / count, self.chances.mean(0))
        total /= self.over_inputs(weights.clamp(min=torch.finfo(weights.dtype).tiny))  # sure of its class: no cost
        self.squares.mul_(plan.smoothing + plan.hoarding).addcmul_(total, total, value=1.0 - plan.smoothing)
        self.velocity.mul_(plan.momentum).add_(total)
        self.chances -= plan.shaped(plan.learning_rate * self.velocity / (self.squares.sqrt() + plan.epsilon))
        self.chances.clamp_(min=0.0)
        self.chances /= self.chances.amax([0, *range(2, self.chances.dim())], keepdim=True).clamp(min=1.0)

    @property
    def samples(self) -> int:
        """Samples for the next step. If P is all zero, one sample is enough, since all are equal."""
        return self.plan.samples if bool(self.chances.any()) else 1

    def draws(self, samples: int) -> Iterator[Tensor]:
        """Samples (T, n, K, *input_shape) of the probabilities, in batches that fit one gradient computation."""
        together = max(1, samples_at_once(self.box, len(self.chances)) // len(self.classes))
        for first in range(0, samples, together):
            count = min(together, samples - first)
            yield torch.stack([self.draw() for _ in range(count)], dim=1)

    def draw(self) -> Tensor:
        """One sample (T, K, *input_shape) of the probabilities."""
        uniform = self.chance.uniform(len(self.chances), *self.box.input_shape).transpose(0, 1)
        return (uniform < self.chances).to(self.chances.dtype)

    def costs(self, response: Response, classes: Tensor) -> Tensor:
        """The part of the cost (B,) that depends on the output."""
        if self.plan.cost == "log_score":
            return -class_log_score(response, classes, "membrane")
        cost: Tensor = 1.0 - class_score(response, classes, "membrane")
        return cost

    def with_density(self, costs: Tensor, gradient: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the cost of spikes, which does not depend on the target, to cost and gradient."""
        density = spikes.transpose(0, 1).flatten(1).mean(1)
        price = self.plan.sparsity / (spikes[:, 0].numel())
        return costs + self.plan.sparsity * density, gradient + price

    def over_inputs(self, values: Tensor) -> Tensor:
        """Values (..., K) shaped to broadcast over inputs."""
        return values.reshape(*values.shape, *[1] * len(self.box.input_shape))

    def result(self, seed: int) -> Inversions:
        """One sample of the probabilities as the inversions, run once."""
        spikes = self.draw()
        costs = self.costs(self.box.run(spikes), self.classes)
        costs, _ = self.with_density(costs, spikes, spikes)
        self.trace.add(-costs, self.chances.mean(0))
        return Inversions(
            spikes.to(torch.uint8),
            self.classes,
            self.chances.float(),
            self.trace.queries,
            self.trace.finished(),
            Status.COMPLETED,
            self.plan.name,
            seed,
        )
