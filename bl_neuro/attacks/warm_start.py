"""A first guess for every class from one shared set of random probes."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.attacks.fitness import named
from bl_neuro.attacks.image_prior import ImagePrior

DARKEST, BRIGHTEST = 0.05, 0.8
"""Range of a first guess: every input stays open to change."""


def first_rates(
    frames: FloatArray, weights: FloatArray, prior: ImagePrior, base_rate: float, amplitude: float
) -> FloatArray:
    """Rates (K, *input_shape): base_rate and, around it, the probes that speak for a class against those that do not.

    frames: probes (M, *input_shape), 0/1. weights: what each probe counts for each class, (M, K), of mean 0. amplitude:
    standard deviation over the inputs. With a window, base_rate is that of its middle, and falls off with it.
    """
    base = base_rate * prior.mask
    image = np.tensordot(weights, frames - frames.mean(axis=0), axes=(0, 0))
    inputs = tuple(range(1, image.ndim))
    image = prior.shape(image - image.mean(axis=inputs, keepdims=True))
    spread = image.std(axis=inputs, keepdims=True)
    image = np.divide(image, spread, out=np.zeros_like(image), where=spread > 0)
    return np.clip(base + amplitude * image, np.minimum(DARKEST, base), BRIGHTEST)


def probe_weights(evidences: FloatArray, classes: IntArray) -> FloatArray:
    """What probes count for `classes` (K) given the evidence (M, C) in their answers: (M, K), of mean 0.

    Whether an answer names the class, and no more: how much it speaks for the others says more of them. Ranks of scores
    and shares of counts were tried, and gave worse first guesses of MNIST.
    """
    hits = (named(evidences)[:, None] == classes).astype(np.float64)
    return np.asarray(hits - hits.mean(axis=0)) if len(hits) else hits


def affordable_probes(remaining: int | None, probes: int, searching: int) -> int:
    """How many of the planned probes to make: a budget too small for these and `searching` queries is split evenly."""
    if remaining is None or remaining >= probes + searching:
        return probes
    return min(probes, max(remaining // 2, min(remaining, 1)))
