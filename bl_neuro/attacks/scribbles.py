"""Random pen strokes: what an attacker may ask who knows that an image is one stroke of a pen, in its middle.

How far strokes reach fits images such as MNIST's, whose digits fill 20 of 28 pixels: that too is taken for granted.
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray

CORNERS = (5, 10)
"""Fewest corners of a stroke, and one more than most."""
REACH = (0.25, 0.36)
"""Range of how far a stroke reaches from its middle, as a part of the image's shorter side."""
OFF_CENTRE = 1 / 28
"""Standard deviation of where its middle is, as a part of the shorter side."""
ALONG = 80
"""Points of a curve that are drawn."""


def scribbles(count: int, height: int, width: int, pen: float, rng: np.random.Generator) -> FloatArray:
    """`count` binary images (count, height, width), each one curve drawn with a round pen of radius `pen` pixels.

    The curve is a uniform cubic B-spline along a random walk of 5 to 9 corners, scaled to a reach of its own.
    """
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    images = np.empty((count, height, width))
    for image in images:
        down, right = _curve(min(height, width), rng).T[:, :, None, None]
        near = (rows[:, None] - down) ** 2 + (columns - right) ** 2
        image[...] = near.min(axis=0) < pen**2
    return images


def _curve(side: int, rng: np.random.Generator) -> FloatArray:
    """Points (ALONG, 2) of a curve, in pixels from the middle of an image."""
    corners = np.cumsum(rng.normal(size=(rng.integers(*CORNERS) + 1, 2)), axis=0)
    corners -= (corners.min(axis=0) + corners.max(axis=0)) / 2
    corners *= rng.uniform(*REACH) * side / np.abs(corners).max()
    corners += rng.normal(size=2) * OFF_CENTRE * side
    ends = np.concatenate([corners[:1], corners[:1], corners, corners[-1:], corners[-1:]])
    place = np.linspace(0, len(ends) - 3, ALONG, endpoint=False)
    first: IntArray = place.astype(np.int64)
    u = place - first
    basis = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
    return np.asarray(np.einsum("ab,abc->ac", basis, ends[first[:, None] + np.arange(4)]))
