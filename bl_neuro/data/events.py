"""Labelled recordings of event cameras, as frames of spikes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray, IntArray, SpikeArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Index, class_means, need_labels, need_printable
from bl_neuro.errors import InputError

CHUNK = 64
"""Number of samples that are unpacked at once to compute means."""


@dataclass(frozen=True, eq=False)
class EventDataset:
    """Frames of spikes and their labels (N,) in 0..classes-1.

    packed: the frames with eight pixels per byte, (N, T, bytes). input_shape: (C, H, W) of a frame. dt_s: duration of a
    frame in seconds, if known. held_out, completeness: as in `Dataset`.
    """

    name: str
    source: str
    packed: SpikeArray
    labels: IntArray
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    held_out: BoolArray | None = None
    completeness: str = "all"
    dt_s: float | None = None

    def __post_init__(self) -> None:
        need_labels(self.labels, self.held_out, len(self.packed), self.classes)
        need_printable(self.name, self.source, self.completeness, *self.class_names)
        expected = -(-int(np.prod(self.input_shape)) // 8)
        if self.packed.ndim != 3 or self.packed.shape[2] != expected or self.packed.dtype != np.uint8:
            raise InputError(
                f"packed: expected uint8 (N, T, {expected}), found {self.packed.dtype} {self.packed.shape}"
            )

    @classmethod
    def from_frames(
        cls, name: str, source: str, frames: npt.NDArray[Any], labels: IntArray, class_names: tuple[str, ...]
    ) -> EventDataset:
        """Creates the dataset from `frames` (N, T, C, H, W) of 0 and 1."""
        if frames.ndim != 5:
            raise InputError(f"frames: expected (N, T, C, H, W), found {frames.shape}")
        if not np.isin(frames, (0, 1)).all():
            raise InputError(f"frames: expected only 0 and 1, found {np.min(frames)}..{np.max(frames)}")
        return cls(name, source, pack(frames), labels, class_names, frames.shape[2:])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def steps(self) -> int:
        """Number of frames per sample. Shorter recordings are padded with empty frames."""
        return int(self.packed.shape[1])

    @cached_property
    def images(self) -> FloatArray:
        """The mean frame of each sample, (N, C, H, W) in 0..1."""
        return self.images_at(slice(None))

    def images_at(self, index: Index) -> FloatArray:
        """The mean frames of the samples at `index`. Only a few samples are unpacked at a time."""
        packed = self.packed[index]
        images = np.empty((len(packed), *self.input_shape))
        for start in range(0, len(packed), CHUNK):
            images[start : start + CHUNK] = unpack(packed[start : start + CHUNK], self.input_shape).mean(axis=1)
        return images

    def frames_at(self, index: Index) -> SpikeArray:
        """The frames of the samples at `index`, (B, T, C, H, W), 0 or 1."""
        return unpack(self.packed[index], self.input_shape)

    def class_means(self) -> FloatArray:
        """The mean frame of each class, (classes, C, H, W)."""
        return class_means(self)

    def subset(self, index: npt.NDArray[np.integer[Any]]) -> EventDataset:
        """The samples at `index`."""
        held_out = None if self.held_out is None else self.held_out[index]
        return replace(self, packed=self.packed[index], labels=self.labels[index], held_out=held_out)

    def spikes(
        self, index: Index, steps: int, rng: np.random.Generator, encoder: str | Encoder | None = None
    ) -> SpikeArray:
        """The first `steps` frames of the samples at `index`, (T, B, C, H, W), padded with empty frames.

        Deterministic; there is no encoder.
        """
        if encoder is not None:
            raise InputError(f"encoder: {self.name} contains spikes, which need no encoder; found {encoder!r}")
        if not 1 <= steps <= MAX_STEPS:
            raise InputError(f"steps: expected 1..{MAX_STEPS}, found {steps}")
        frames = unpack(self.packed[index, :steps], self.input_shape)
        spikes = np.zeros((steps, len(frames), *self.input_shape), dtype=np.uint8)
        spikes[: frames.shape[1]] = np.moveaxis(frames, 1, 0)
        return spikes


def pack(frames: npt.NDArray[Any]) -> SpikeArray:
    """Packs binary frames (..., C, H, W) with eight pixels per byte: (..., bytes)."""
    return np.packbits(frames.astype(bool).reshape(*frames.shape[:-3], -1), axis=-1)


def unpack(packed: SpikeArray, shape: tuple[int, ...]) -> SpikeArray:
    """Unpacks frames (..., C, H, W) of 0 and 1."""
    return np.unpackbits(packed, axis=-1, count=int(np.prod(shape))).reshape(*packed.shape[:-1], *shape)
