"""BREP among pixels: boundary repulsion from labels alone, without a generative prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Progress
from bl_neuro.attacks.boundary_repulsion import BoundaryRepulsion, SearchSpace
from bl_neuro.attacks.image_prior import AttackWithPriors, ImagePrior
from bl_neuro.attacks.inversions import Inversions
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.seeding import stream

DENSITIES = (0.1, 0.5)
"""Range of the densities of random images."""


@dataclass(frozen=True, kw_only=True)
class Brep(BoundaryRepulsion[BlackBox], AttackWithPriors[BlackBox]):
    """Moves an image of each class away from the class's decision boundary, from predicted labels alone.

    Random points are random binary images with densities 0.1..0.5. Random directions are white noise that the image
    priors shape. Values of pixels are cut to 0..1, and images become spikes by a rate code. For the search and its
    settings see `BoundaryRepulsion`; for blur, window and image_shape, `AttackWithPriors`.

    Source: see `BoundaryRepulsion`; without a generative prior, pixels take the place of latent vectors.
    """

    name: ClassVar[str] = "brep"
    title: ClassVar[str] = "BREP"

    blur: float = 0.6

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        oracle = RateOracle(box, classes, steps, stream(seed, "attack brep spikes"))
        space = PixelSpace(self.prior(box.input_shape), stream(seed, "attack brep"))
        return self.search(oracle, space, seed, progress)


class PixelSpace(SearchSpace):
    """Images in 0..1 themselves."""

    most = 1.0

    def __init__(self, prior: ImagePrior, rng: np.random.Generator) -> None:
        self._prior, self._rng, self._shape = prior, rng, prior.mask.shape

    def points(self, count: int) -> FloatArray:
        """See `SearchSpace.points`."""
        return self._prior.probes(count, DENSITIES, 0.0, self._rng) * self._prior.mask

    def directions(self, count: int, classes: int) -> FloatArray:
        """See `SearchSpace.directions`."""
        noise = self._prior.shape(self._rng.normal(size=(count * classes, *self._shape)))
        inputs = tuple(range(1, noise.ndim))
        scale = np.sqrt(np.square(noise).mean(axis=inputs, keepdims=True))
        return np.asarray((noise / scale).reshape(count, classes, *self._shape))

    def inside(self, points: FloatArray) -> FloatArray:
        """See `SearchSpace.inside`."""
        return np.clip(points, 0.0, 1.0)

    def images(self, points: FloatArray) -> FloatArray:
        """See `SearchSpace.images`."""
        return points
