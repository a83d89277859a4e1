"""BrainLeaks v1: a white-box inversion along surrogate gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.attacks.base import Access, Preset, Progress
from bl_neuro.attacks.gradient_search import (
    OUTPUTS,
    ClassStreams,
    Output,
    ShapedGradientAttack,
    WhiteBoxTrace,
    class_gradient,
    class_score,
)
from bl_neuro.attacks.inversions import Inversions, Status


@dataclass(frozen=True, kw_only=True)
class BrainLeaksV1(ShapedGradientAttack):
    """From silence, flips the input spikes that the gradient points at, with a probability of its magnitude.

    For each of `iterations`: J = mean over t of softmax(output)[c]; g = dJ/dX, shaped by the priors that are on;
    g <- g - sparsity max|g|; mask M ~ Bernoulli(minmax(|g|)); X <- 1[X + sign(g) M > 0]. All classes at once, each with
    chance of its own: a class comes out the same alone. The result is run once more, so that the trace, which begins
    with silence, ends with it.

    objective: the output that J is taken of, "membrane" or "spikes". sparsity: what a spike must be worth to stay, as a
    share (0..1) of what the best is worth; 0 as published.

    Without a price on spikes, v1 lights far more of an event camera's input than events do (15% against 2% on N-MNIST),
    which an evaluator of spikes takes for anything; `for_events` has one.

    Source: BrainLeaks (arXiv 2402.00906), first attack; 10 iterations on the membrane for MNIST and N-MNIST, 25 on
    spikes for DVS128 gestures. sparsity and the priors are ours.
    """

    name: ClassVar[str] = "v1"
    title: ClassVar[str] = "v1"
    access: ClassVar[Access] = "white_box"

    iterations: int = 10
    objective: Output = "membrane"
    sparsity: float = 0.0

    @classmethod
    def for_events(cls, **changes: Any) -> BrainLeaksV1:
        """With settings that worked on N-MNIST: a low price on spikes, smooth in time.

        Image priors are for you to add (blur=1, window=5), and matter there more than these.
        """
        return cls(**{"iterations": 25, "sparsity": 0.05, "time_blur": 2.0, **changes})

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """See `Attack.presets`."""
        return {"for_events": Preset(cls.for_events, "event recordings such as N-MNIST", of_events=True)}

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        rules = [
            (self.iterations >= 1, f"iterations: expected a whole number of at least 1, found {self.iterations}"),
            (self.objective in OUTPUTS, f"objective: expected one of {', '.join(OUTPUTS)}, found {self.objective!r}"),
            (0 <= self.sparsity < 1, f"sparsity: expected 0 or more, below 1, found {self.sparsity}"),
        ]
        return [*super().problems(), *(message for holds, message in rules if not holds)]

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        chance = ClassStreams(seed, "attack v1", classes)
        wanted = torch.as_tensor(classes)
        score = partial(class_score, output=self.objective)
        spikes = torch.zeros(steps, len(classes), *box.input_shape, dtype=torch.float64)
        trace = WhiteBoxTrace(box)
        for iteration in range(self.iterations):
            values, gradient = class_gradient(box, spikes, wanted, score)
            trace.add(values, spikes.mean(0))
            gradient = self.shaped(gradient)
            if self.sparsity > 0:
                gradient = gradient - self.sparsity * gradient.abs().amax(over_inputs(gradient), keepdim=True)
            mask = chance.uniform(steps, *box.input_shape).transpose(0, 1) < scaled(gradient.abs())
            spikes = ((spikes + gradient.sign() * mask) > 0).to(spikes.dtype)
            progress(iteration + 1, self.iterations)
        trace.add(score(box.run(spikes), wanted), spikes.mean(0))
        return Inversions(
            spikes.to(torch.uint8), wanted, None, trace.queries, trace.finished(), Status.COMPLETED, self.name, seed
        )


def scaled(values: Tensor) -> Tensor:
    """Values (T, K, ...) of each inversion scaled to 0..1; all 0 where they are alike."""
    axes = over_inputs(values)
    low, high = values.amin(axes, keepdim=True), values.amax(axes, keepdim=True)
    return (values - low) / (high - low).clamp(min=torch.finfo(values.dtype).tiny)


def over_inputs(values: Tensor) -> list[int]:
    """The axes of values (T, K, ...) that belong to one inversion."""
    return [0, *range(2, values.dim())]
