"""Attacks that may take for granted what any image looks like: the settings and checks they share."""

from __future__ import annotations

from dataclasses import dataclass

from bl_neuro.attacks.base import Attack, Box
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.typed_settings import settle_types
from bl_neuro.errors import InputError

FARTHEST = 1024
"""Most pixels that a prior reaches."""
NARROWEST = 0.1
"""Least width of a window in pixels: below it, nothing is left between the pixels of an even side."""


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
            (0 <= self.blur <= FARTHEST, f"blur: expected at least 0 pixels, at most {FARTHEST}, found {self.blur}"),
            (
                self.window is None or NARROWEST <= self.window <= FARTHEST,
                f"window: expected above 0 pixels ({NARROWEST}..{FARTHEST}), found {self.window}",
            ),
            (
                self.image_shape is None or min(self.image_shape) >= 1,
                f"image_shape: expected height and width of at least 1 pixel, found {self.image_shape}",
            ),
        ]
        return [message for holds, message in rules if not holds]

    def prior(self, input_shape: tuple[int, ...]) -> ImagePrior:
        """The priors for inputs of this shape. InputError where they do not fit it."""
        return ImagePrior(input_shape, self.blur, self.window, self.image_shape)

    def assumptions(self, box: Box) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return self.prior(box.input_shape).active
