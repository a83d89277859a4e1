"""Attacks that may take for granted what any image looks like: the settings and checks they share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bl_neuro.attacks.base import Attack, Box
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.typed_settings import settle_types
from bl_neuro.errors import InputError


@dataclass(frozen=True, kw_only=True)
class AttackWithPriors(Attack[Box]):
    """An attack whose directions in input space may be shaped by image priors before they are used; see `ImagePrior`.

    blur: neighbouring pixels agree; standard deviation of a Gaussian in pixels, 0 for none. window: the object is in
    the middle; that of a centred Gaussian mask in pixels, or None. image_shape: (H, W) of a flat input.
    """

    blur: float = 0.0
    window: float | None = None
    image_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        wrong = settle_types(self) or self.problems()
        if wrong:
            raise InputError("; ".join(wrong))

    def problems(self) -> list[str]:
        """Everything that is wrong with the settings, which are of the right types."""
        rules = [
            (0 <= self.blur < math.inf, f"blur: expected at least 0 pixels, found {self.blur}"),
            (self.window is None or self.window > 0, f"window: expected above 0 pixels, found {self.window}"),
        ]
        return [message for holds, message in rules if not holds]

    def prior(self, input_shape: tuple[int, ...]) -> ImagePrior:
        """The priors for inputs of this shape. InputError where they do not fit it."""
        return ImagePrior(input_shape, self.blur, self.window, self.image_shape)

    def assumptions(self, box: Box) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return self.prior(box.input_shape).active
