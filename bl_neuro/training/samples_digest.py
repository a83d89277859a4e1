"""Identifies the samples of a training."""

from __future__ import annotations

import hashlib

import numpy as np

from bl_neuro.data.samples import Samples


def samples_digest(data: Samples) -> str:
    """A short hash of all labels and 64 images."""
    some = np.unique(np.linspace(0, len(data.labels) - 1, 64).astype(int))
    content = np.ascontiguousarray(data.labels).tobytes() + np.ascontiguousarray(data.images_at(some)).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
