"""White-box attacks whose gradients may be shaped by what inputs look like, in space and in time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.attacks.with_priors import AttackWithPriors
from bl_neuro.checks import MAX_STEPS


@dataclass(frozen=True, kw_only=True)
class ShapedGradientAttack(AttackWithPriors[WhiteBox]):
    """An attack along gradients (T, K, *input_shape) that image priors and one of time may shape before they are used.

    time_blur: neighbouring steps agree; standard deviation of a Gaussian in steps, 0 for none.
    """

    time_blur: float = 0.0

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        if 0 <= self.time_blur <= MAX_STEPS:
            return super().problems()
        said = f"time_blur: expected at least 0 steps, at most {MAX_STEPS}, found {self.time_blur}"
        return [*super().problems(), said]

    def assumptions(self, box: WhiteBox) -> list[str]:
        """See `Attack.assumptions`: the priors that apply to this box."""
        steps = [f"neighbouring steps agree (blur of {self.time_blur:g} steps)"] if self.time_blur > 0 else []
        return [*super().assumptions(box), *steps]

    def shaped(self, gradient: Tensor) -> Tensor:
        """`gradient` (T, K, *input_shape) as the priors have it."""
        prior = self.prior(tuple(gradient.shape[2:]))
        values = gradient.numpy()
        if prior.active:
            values = prior.shape(values)
        if self.time_blur > 0:
            values = gaussian_filter(values, (self.time_blur, *[0] * (values.ndim - 1)), mode="constant")
        return torch.from_numpy(values)
