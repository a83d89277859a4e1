"""Identifies all samples of a dataset."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bl_neuro.data import Dataset, EventDataset, Samples

CHUNK = 1024
"""Number of samples that are hashed at a time."""


def whole_digest(data: Samples) -> str | None:
    """SHA-256 of all samples, labels and which ones are held out; None for a dataset of another type."""
    values: NDArray[Any]
    if isinstance(data, Dataset):
        values = data.pixels
    elif isinstance(data, EventDataset):
        values = data.packed
    else:
        return None
    shape = (data.input_shape, data.class_names, values.dtype.str, values.shape, data.labels.dtype.str)
    digest = hashlib.sha256(repr(shape).encode())
    for start in range(0, len(values), CHUNK):
        digest.update(np.ascontiguousarray(values[start : start + CHUNK]).tobytes())
    for labels in (data.labels, data.held_out):
        digest.update(b"none" if labels is None else np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
