"""Draws the half of a pool of samples that a network is trained on."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import BoolArray, IntArray
from bl_neuro.seeding import stream


def random_half(labels: IntArray, seed: int) -> BoolArray:
    """A random half of every class, as a mask (n,); of an odd class, one sample less than the other half."""
    rng, members = stream(seed, "membership half"), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        members[own[: len(own) // 2]] = True
    return members
