"""A first guess for every class from one shared set of random probes."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.attacks.fitness import named
from bl_neuro.attacks.image_prior import ImagePrior

DARKEST, BRIGHTEST = 0.05, 0.8
"""Range of a first guess, so that every input can still change."""


def first_rates(
    frames: FloatArray, weights: FloatArray, prior: ImagePrior, base_rate: float, amplitude: float
) -> FloatArray:
    """Rates (K, *input_shape): base_rate plus the difference between probes for and against a class.

    frames: probes (M, *input_shape), 0 or 1. weights: weight of each probe for each class, (M, K), with mean 0.
    amplitude: standard deviation over the inputs. With a window, base_rate applies to its centre and decreases with the
    window.
    """
    base = base_rate * prior.mask
    image = np.tensordot(weights, frames - frames.mean(axis=0), axes=(0, 0))
    inputs = tuple(range(1, image.ndim))
    image = prior.shape(image - image.mean(axis=inputs, keepdims=True))
    spread = image.std(axis=inputs, keepdims=True)
    image = np.divide(image, spread, out=np.zeros_like(image), where=spread > 0)
    return np.clip(base + amplitude * image, np.minimum(DARKEST, base), BRIGHTEST)


def probe_weights(evidences: FloatArray, classes: IntArray) -> FloatArray:
    """Weights of probes for `classes` (K), given the evidence (M, C) in their answers: (M, K), with mean 0.

    A weight only depends on whether the answer predicts the class, since evidence for other classes carries more
    information about them. Ranks of scores and shares of counts gave worse first guesses on MNIST.
    """
    hits = (named(evidences)[:, None] == classes).astype(np.float64)
    return np.asarray(hits - hits.mean(axis=0)) if len(hits) else hits


def affordable_probes(remaining: int | None, probes: int, searching: int) -> int:
    """Number of planned probes to run. A budget too small for them and `searching` queries is split in half."""
    if remaining is None or remaining >= probes + searching:
        return probes
    return min(probes, max(remaining // 2, min(remaining, 1)))


CORNERS = (5, 10)
"""Minimum number of corners of a stroke, and maximum plus one."""
REACH = (0.25, 0.36)
"""Range of the size of a stroke, as a fraction of the shorter side of the image."""
OFF_CENTRE = 1 / 28
"""Standard deviation of its centre, as a fraction of the shorter side."""
ALONG = 80
"""Number of points of a curve."""


def scribbles(count: int, height: int, width: int, pen: float, rng: np.random.Generator) -> FloatArray:
    """`count` binary images (count, height, width), each of one curve drawn with a round pen of radius `pen` pixels.

    The curve is a uniform cubic B-spline along a random walk of 5 to 9 corners, scaled to a random size.
    """
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    images = np.empty((count, height, width))
    for image in images:
        down, right = _curve(min(height, width), rng).T[:, :, None, None]
        near = (rows[:, None] - down) ** 2 + (columns - right) ** 2
        image[...] = near.min(axis=0) < pen**2
    return images


def _curve(side: int, rng: np.random.Generator) -> FloatArray:
    """Points (ALONG, 2) of a curve, in pixels from the centre of an image."""
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
