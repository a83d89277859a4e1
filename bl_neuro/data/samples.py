"""The interface of datasets of images and of events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray, IntArray, SpikeArray
from bl_neuro.data.encoders import Encoder, find_encoder
from bl_neuro.errors import DataError, InputError
from bl_neuro.files import is_utf8

Index = npt.NDArray[np.integer[Any]] | slice
S = TypeVar("S", bound="Samples")


class Samples(Protocol):
    """Labelled samples that can be shown to a network."""

    @property
    def name(self) -> str:
        """Name of the dataset, such as "mnist"."""

    @property
    def source(self) -> str:
        """Where the dataset comes from and what to cite."""

    @property
    def completeness(self) -> str:
        """How much of the dataset was found, such as "all 70,000" or "subset: 1,100 of 70,000"."""

    @property
    def labels(self) -> IntArray:
        """The class of each sample, (N,) in 0..classes-1."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class."""

    @property
    def held_out(self) -> BoolArray | None:
        """Which samples (N,) belong to the official test set, or None if there is none."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape (C, H, W) of an input in one time step."""

    @property
    def images(self) -> FloatArray:
        """All samples as images (N, C, H, W) in 0..1; for events, the mean over time."""

    def images_at(self, index: Index) -> FloatArray:
        """The images of the samples at `index`. Other samples are not converted."""

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
        """The samples at `index` as network inputs, (T, B, C, H, W): uint8 spikes, or currents for "direct"."""


def class_means(samples: Samples) -> FloatArray:
    """The mean image of each class, (classes, C, H, W).

    Raises:
        DataError: a class has no samples.
    """
    counts = np.bincount(samples.labels, minlength=samples.classes)
    if not counts.all():
        raise DataError(f"{samples.name}: class {int(np.argmin(counts))} has no samples, so it has no mean image")
    members = (np.flatnonzero(samples.labels == label) for label in range(samples.classes))
    return np.stack([samples.images_at(index).mean(axis=0) for index in members])


def need_labels(labels: IntArray, held_out: BoolArray | None, count: int, classes: int) -> None:
    """Raises InputError unless there is a label in 0..classes-1 for each of `count` samples."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected {count} whole numbers, found {labels.dtype} {labels.shape}")
    if count and not 0 <= labels.min() <= labels.max() < classes:
        raise InputError(f"labels: expected 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    if held_out is not None and (held_out.shape != (count,) or held_out.dtype != np.bool_):
        raise InputError(f"held_out: expected {count} of bool, found {held_out.dtype} {held_out.shape}")


def scale_problem(pixels: npt.NDArray[Any]) -> str | None:
    """What is wrong if all bytes of a dataset are 0 or 1: they may be black and white, or nearly black.

    None if all are 0, which is black in any case.
    """
    if pixels.dtype != np.uint8 or pixels.max(initial=0) != 1:
        return None
    return (
        "expected bytes in 0..255, found only 0 and 1, of which 1 would be nearly black (1/255); multiply them by 255 "
        "if 1 is white"
    )


def need_printable(*texts: str) -> None:
    """Raises InputError unless these names can be stored as UTF-8, as reports need it.

    `bl_neuro.strangers.door.printable_name` makes any name printable.
    """
    for text in texts:
        if not is_utf8(text):
            raise InputError(f"expected names that can be written as UTF-8, found {text!r}")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (N, C, H, W) and their labels (N,) in 0..classes-1.

    pixels: values in 0..1, or bytes 0..255, which are converted on demand: `images_at` converts a batch, and `images`
    converts all images once and keeps them (8 bytes per pixel). held_out: the official test samples. completeness: how
    much of the dataset was found.
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
        need_printable(self.name, self.source, self.completeness, *self.class_names)
        if self.pixels.ndim < 2 or not (self.pixels.dtype == np.uint8 or self.pixels.dtype.kind == "f"):
            raise InputError(
                f"pixels: expected floats or bytes (N, C, H, W), found {self.pixels.dtype} {self.pixels.shape}"
            )

    @property
    def classes(self) -> int:
        """Number of classes."""
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
        """The images at `index`, in 0..1. Other images are not converted."""
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

        encoder: "rate" (default), "held", "direct" or a function; see `bl_neuro.data.encoders`.
        """
        return find_encoder(encoder or "rate")(self.images_at(index), steps, rng)
