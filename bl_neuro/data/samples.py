"""What every dataset offers, of images or of events."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.data.encoders import Encoder

Index = npt.NDArray[np.integer[Any]] | slice
S = TypeVar("S", bound="Samples")


class Samples(Protocol):
    """Labelled samples that can be shown to a network."""

    @property
    def name(self) -> str:
        """What the dataset is called, such as "mnist"."""

    @property
    def source(self) -> str:
        """Where it comes from and whom to cite."""

    @property
    def completeness(self) -> str:
        """How much of it was found, such as "all 70,000" or "subset: 1,100 of 70,000"."""

    @property
    def labels(self) -> IntArray:
        """The class of each sample, (N,) in 0..classes-1."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class."""

    @property
    def held_out(self) -> BoolArray | None:
        """Which samples (N,) its authors keep for testing; None where they do not say."""

    @property
    def classes(self) -> int:
        """How many classes there are."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape (C, H, W) of an input in one step."""

    @property
    def images(self) -> FloatArray:
        """All samples as images (N, C, H, W) in 0..1; of events, the mean over time."""

    def images_at(self, index: Index) -> FloatArray:
        """The images of the samples at `index`; the others are not converted."""

    def class_means(self) -> FloatArray:
        """The mean image of each class, (classes, C, H, W)."""

    def subset(self: S, index: npt.NDArray[np.integer[Any]]) -> S:
        """The samples at `index`."""

    def spikes(
        self,
        index: Index,
        steps: int,
        rng: np.random.Generator,
        encoder: str | Encoder | None = None,
    ) -> npt.NDArray[Any]:
        """The samples at `index` as input of a network, (T, B, C, H, W): uint8 spikes, or real currents ("direct")."""
