"""BREP with a generative prior: boundary repulsion in the latent space of a decoder of public images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.auxiliary_box import AuxiliaryBox
from bl_neuro.attacks.base import Need, Progress, TargetView, View
from bl_neuro.attacks.boundary_repulsion import BoundaryRepulsion, SearchSpace
from bl_neuro.attacks.image_decoder import ImageDecoder, trained_decoder
from bl_neuro.attacks.inversions import Inversions
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.seeding import stream

FARTHEST = 10.0
"""Largest latent value, in standard deviations."""


@dataclass(frozen=True, kw_only=True)
class BrepPrior(BoundaryRepulsion[AuxiliaryBox]):
    """Moves a latent vector of each class away from the class's decision boundary, from predicted labels alone.

    The decoder is trained on the attacker's own images; see `ImageDecoder`. Random points are drawn from N(0, 1), and
    random directions are white noise. Decoded images become spikes by a rate code. For the search and its settings see
    `BoundaryRepulsion`.

    latent, hidden, training_steps: see `GenerativePrior`.

    Source: see `BoundaryRepulsion`.
    """

    name: ClassVar[str] = "brep_prior"
    title: ClassVar[str] = "BREP with a prior"
    needs: ClassVar[tuple[Need, ...]] = ("auxiliary",)

    radius: float = 0.5
    step: float = 4.0
    latent: int = 8
    hidden: int = 128
    training_steps: int = 1500

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        counts = [
            f"{name}: expected a whole number of at least 1, found {getattr(self, name)}"
            for name in ("latent", "hidden", "training_steps")
            if getattr(self, name) < 1
        ]
        return [*super().problems(), *counts]

    @classmethod
    def box_type(cls) -> type[View]:
        """See `Attack.box_type`."""
        return AuxiliaryBox

    def open_box(self, view: TargetView) -> AuxiliaryBox:
        """See `Attack.open_box`: the target and the attacker's images."""
        return AuxiliaryBox(view.black_box(), view.auxiliary_images())

    def assumptions(self, box: AuxiliaryBox) -> list[str]:
        """See `Attack.assumptions`: that the attacker's images resemble the inputs."""
        return [box.assumption]

    def _invert(self, box: AuxiliaryBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        oracle = RateOracle(box.deployed, classes, steps, stream(seed, "attack brep_prior spikes"))
        images = box.images.reshape(len(box.images), *box.input_shape)
        decoder = trained_decoder(images, self.latent, self.hidden, self.training_steps, seed)
        return self.search(oracle, LatentSpace(decoder, stream(seed, "attack brep_prior")), seed, progress)


class LatentSpace(SearchSpace):
    """Latent vectors of a decoder."""

    most = FARTHEST

    def __init__(self, decoder: ImageDecoder, rng: np.random.Generator) -> None:
        self._decoder, self._rng = decoder, rng

    def points(self, count: int) -> FloatArray:
        """See `SearchSpace.points`."""
        return self._rng.normal(size=(count, self._decoder.latent))

    def directions(self, count: int, classes: int) -> FloatArray:
        """See `SearchSpace.directions`."""
        noise = self._rng.normal(size=(count, classes, self._decoder.latent))
        return np.asarray(noise / np.sqrt(np.square(noise).mean(axis=2, keepdims=True)))

    def inside(self, points: FloatArray) -> FloatArray:
        """See `SearchSpace.inside`."""
        return np.clip(points, -FARTHEST, FARTHEST)

    def images(self, points: FloatArray) -> FloatArray:
        """See `SearchSpace.images`."""
        return self._decoder.decode(points)
