"""A labelled set of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray, IntArray, SpikeArray
from bl_neuro.data.encoders import Encoder, find_encoder
from bl_neuro.data.labelled import class_means, need_labels
from bl_neuro.data.samples import Index
from bl_neuro.errors import InputError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) and their labels (N,) in 0..classes-1.

    pixels: values in 0..1, or bytes 0..255, which stay bytes until they are asked for: `images_at` converts a batch,
    `images` converts all, once, and keeps them (8 bytes a pixel). held_out: which samples its authors keep for
    testing. completeness: how much of the dataset was found.
    """

    name: str
    source: str
    pixels: FloatArray | SpikeArray
    labels: IntArray
    class_names: tuple[str, ...]
    held_out: BoolArray | None = None
    completeness: str = "all"

    def __post_init__(self) -> None:
        need_labels(self.labels, self.held_out, len(self.pixels), self.classes)
        if self.pixels.ndim < 2 or not (self.pixels.dtype == np.uint8 or self.pixels.dtype.kind == "f"):
            raise InputError(
                f"pixels: expected floats or bytes (N, C, H, W), found {self.pixels.dtype} {self.pixels.shape}"
            )

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape (C, H, W) of an image."""
        return self.pixels.shape[1:]

    @cached_property
    def images(self) -> FloatArray:
        """All images, (N, C, H, W) in 0..1."""
        return self.images_at(slice(None))

    def images_at(self, index: Index) -> FloatArray:
        """The images at `index`, in 0..1; the others are not converted."""
        pixels = self.pixels[index]
        return pixels / 255.0 if pixels.dtype == np.uint8 else pixels.astype(np.float64, copy=False)

    def class_means(self) -> FloatArray:
        """The mean image of each class, (classes, C, H, W)."""
        return class_means(self)

    def subset(self, index: npt.NDArray[np.integer[Any]]) -> Dataset:
        """The samples at `index`."""
        held_out = None if self.held_out is None else self.held_out[index]
        return replace(self, pixels=self.pixels[index], labels=self.labels[index], held_out=held_out)

    def spikes(
        self, index: Index, steps: int, rng: np.random.Generator, encoder: str | Encoder | None = None
    ) -> npt.NDArray[Any]:
        """The images at `index` encoded over `steps` steps, (T, B, C, H, W).

        encoder: "rate" (when None), "held", "direct" or a function; see `bl_neuro.data.encoders`.
        """
        return find_encoder(encoder or "rate")(self.images_at(index), steps, rng)
