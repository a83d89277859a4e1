"""A first guess for every class from one shared set of random probes."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.fitness import centred_ranks
from bl_neuro.attacks.image_prior import ImagePrior

DARKEST, BRIGHTEST = 0.05, 0.8
"""Range of a first guess: every input stays open to change."""


def first_rates(
    frames: FloatArray, answers: FloatArray, prior: ImagePrior, base_rate: float, amplitude: float
) -> FloatArray:
    """Rates (K, *input_shape): base_rate and, around it, the probes that speak for a class against those that do not.

    frames: probes (M, *input_shape), 0/1. answers: what theirs speak for each class, (M, K); ranks of them weight the
    probes. amplitude: standard deviation over the inputs.
    """
    image = np.tensordot(centred_ranks(answers), frames - frames.mean(axis=0), axes=(0, 0))
    inputs = tuple(range(1, image.ndim))
    image = prior.shape(image - image.mean(axis=inputs, keepdims=True))
    spread = image.std(axis=inputs, keepdims=True)
    image = np.divide(image, spread, out=np.zeros_like(image), where=spread > 0)
    return np.clip(base_rate + amplitude * image, DARKEST, BRIGHTEST)


def affordable_probes(remaining: int | None, probes: int, searching: int) -> int:
    """How many of the planned probes to make: a budget too small for these and `searching` queries is split evenly."""
    if remaining is None or remaining >= probes + searching:
        return probes
    return min(probes, max(remaining // 2, min(remaining, 1)))
