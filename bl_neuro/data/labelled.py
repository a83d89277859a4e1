"""What holds for labelled samples of every kind."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError, InputError


def class_means(samples: Samples) -> FloatArray:
    """The mean image of each class, (classes, C, H, W).

    Raises:
        DataError: a class has no samples.
    """
    counts = np.bincount(samples.labels, minlength=samples.classes)
    if not counts.all():
        raise DataError(f"{samples.name}: class {int(np.argmin(counts))} has no samples, and so no mean image")
    members = (np.flatnonzero(samples.labels == label) for label in range(samples.classes))
    return np.stack([samples.images_at(index).mean(axis=0) for index in members])


def need_labels(labels: IntArray, held_out: BoolArray | None, count: int, classes: int) -> None:
    """Refuses labels that are not one of `classes` for each of `count` samples."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected {count} whole numbers, found {labels.dtype} {labels.shape}")
    if count and not 0 <= labels.min() <= labels.max() < classes:
        raise InputError(f"labels: expected 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    if held_out is not None and (held_out.shape != (count,) or held_out.dtype != np.bool_):
        raise InputError(f"held_out: expected {count} of bool, found {held_out.dtype} {held_out.shape}")
