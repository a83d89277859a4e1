"""Pearson's correlation between two sets of images, in blocks, so that memory does not grow with the larger set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, numbers

MOST_VALUES = 2**22
"""Values of one block: 32 MiB of float64."""


def standardised(images: FloatArray) -> FloatArray:
    """Images (K, ...) as rows (K, D) of mean 0 and length 1; a constant image becomes 0 and correlates 0."""
    flat = images.reshape(len(images), -1)
    centred: FloatArray = flat - flat.mean(axis=1, keepdims=True)
    norm: FloatArray = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-12)


def correlation_blocks(images: npt.ArrayLike, samples: npt.ArrayLike) -> Iterator[tuple[slice, FloatArray]]:
    """Which rows of `samples` (N, ...), and their correlations with `images` (K, ...): (K, rows), -1..1.

    `samples` may be of any type of number, such as uint8; they become float64 a block at a time.
    """
    rows = standardised(images_of(images, None, "images"))
    held = np.asarray(samples)
    wanted = np.shape(images)[1:]
    if held.ndim < 2 or len(held) == 0 or held.shape[1:] != wanted:
        raise InputError(f"samples: expected (N, {', '.join(map(str, wanted))}), N of 1 or more, found {held.shape}")
    size = max(1, MOST_VALUES // (rows.shape[0] + 2 * rows.shape[1]))
    for start in range(0, len(held), size):
        block = slice(start, min(start + size, len(held)))
        yield block, rows @ standardised(numbers(held[block], "samples")).T
