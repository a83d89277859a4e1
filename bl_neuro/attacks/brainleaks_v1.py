"""BrainLeaks v1: white-box inversion with surrogate gradients."""

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
    """Starts without spikes and flips input spikes along the gradient, with probability given by its magnitude.

    Each of `iterations` computes J = mean over t of softmax(output)[c]; g = dJ/dX, modified by the enabled priors; g <-
    g - sparsity max|g|; a mask M ~ Bernoulli(minmax(|g|)); and X <- 1[X + sign(g) M > 0]. All classes run in one batch
    with separate random numbers, so the result for a class does not depend on the other classes. The final result is
    run once more, so that the trace starts with the empty input and ends with the result.

    objective: the output used for J, "membrane" or "spikes". sparsity: a spike stays only if its gradient exceeds this
    fraction (0..1) of the largest gradient; 0 as published.

    Without sparsity, v1 sets far more spikes than event cameras produce (15% against 2% of inputs on N-MNIST), so that
    spiking evaluators cannot recognise the result. `for_events` uses sparsity.

    Source: BrainLeaks (arXiv 2402.00906), first attack; 10 iterations on the membrane potential for MNIST and N-MNIST,
    25 on spikes for DVS128 gestures. sparsity and the priors are additions of bl-neuro.
    """

    name: ClassVar[str] = "v1"
    audits_models: ClassVar[bool] = True
    title: ClassVar[str] = "v1"
    access: ClassVar[Access] = "white_box"

    iterations: int = 10
    objective: Output = "membrane"
    sparsity: float = 0.0

    @classmethod
    def for_events(cls, **changes: Any) -> BrainLeaksV1:
        """Settings that work well on N-MNIST: low sparsity and smoothing over time.

        Image priors (blur=1, window=5) are not included, although they have a larger effect there.
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
    """Values (T, K, ...), each inversion scaled to 0..1; all 0 if its values are equal."""
    axes = over_inputs(values)
    low, high = values.amin(axes, keepdim=True), values.amax(axes, keepdim=True)
    return (values - low) / (high - low).clamp(min=torch.finfo(values.dtype).tiny)


def over_inputs(values: Tensor) -> list[int]:
    """The axes of values (T, K, ...) that belong to one inversion."""
    return [0, *range(2, values.dim())]
