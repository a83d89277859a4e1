"""The access of an attacker who also has images of their own, such as a public data set of the same kind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError


@dataclass(frozen=True, eq=False)
class AuxiliaryBox:
    """Black-box access to the target (`deployed`), and the attacker's own `images` (N, C, H, W) in 0..1, at least two.

    The images have no labels, and need not show the classes of the target.

    Raises:
        InputError: the box is no BlackBox, or the images are not such images or have other sizes than its inputs.
    """

    deployed: BlackBox
    images: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.deployed, BlackBox):
            raise InputError(f"auxiliary box: expected a BlackBox of the target, found {type(self.deployed).__name__}")
        object.__setattr__(self, "images", checked_images(self.images))
        shape = self.images.shape[1:]
        inputs = self.input_shape
        if shape != inputs and (len(inputs) == 3 or math.prod(shape) != math.prod(inputs)):
            raise InputError(f"auxiliary images: expected images of the target's inputs {inputs}, found {shape}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self.deployed.input_shape

    @property
    def classes(self) -> int:
        """Number of classes of the target."""
        return self.deployed.classes

    @property
    def assumption(self) -> str:
        """The assumption that the images express."""
        return f"the inputs resemble {len(self.images):,} images that the attacker has"


def checked_images(images: npt.ArrayLike) -> FloatArray:
    """`images` as an array (N, C, H, W) of float64. Raises InputError unless they are at least two images in 0..1."""
    try:
        array: FloatArray = np.asarray(images, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"auxiliary images: expected an array of numbers, found {type(images).__name__}") from error
    if array.ndim != 4 or len(array) < 2 or array.size == 0:
        raise InputError(f"auxiliary images: expected at least two images (N, C, H, W), found shape {array.shape}")
    if not (array.min() >= 0 and array.max() <= 1):
        raise InputError(f"auxiliary images: expected values in 0..1, found {array.min():g}..{array.max():g}")
    return array
