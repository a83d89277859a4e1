"""The fitness of answers for a black-box attack: evidence for each class, and the predicted class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.access import scores
from bl_neuro.arrays import FloatArray

COUNT_TEMPERATURE = 2.0
"""Difference of spike counts between two classes that counts as a factor e."""
SATURATING = ("spikes", "counts", "label")
"""Outputs that no longer change once a class clearly wins, so that queries must be moved away from such inputs."""


def evidence(answer: Tensor, reveals: str, classes: int) -> FloatArray:
    """The evidence for each class in answers (B), (B, classes); higher is better, 0 or 1 for labels.

    scores, membrane: log of the mean softmax. counts, spikes: log_softmax(counts / 2). label: whether it is the class.
    """
    if reveals == "label":
        return np.asarray(torch.nn.functional.one_hot(answer.long(), classes).double())
    if reveals in ("membrane", "scores"):
        probabilities = scores(answer) if reveals == "membrane" else answer
        return np.asarray(torch.log(probabilities.double().clamp(min=1e-12)))
    counts = answer.sum(0) if reveals == "spikes" else answer
    return np.asarray(torch.log_softmax(counts.double() / COUNT_TEMPERATURE, dim=1))


def named(evidences: FloatArray) -> npt.NDArray[np.int64]:
    """The predicted class of each answer, (B,); -1 if the evidence is the same for all classes, as without spikes."""
    alike = evidences.max(axis=1) == evidences.min(axis=1)
    return np.where(alike, -1, evidences.argmax(axis=1))


def centred_ranks(values: FloatArray) -> FloatArray:
    """Ranks along the first axis, scaled to [-0.5, 0.5], ties averaged; 0 if all are equal."""
    from scipy.stats import rankdata

    if len(values) < 2:
        return np.zeros_like(values)
    return np.asarray((rankdata(values, axis=0) - 1.0) / (len(values) - 1.0) - 0.5)


def centred_hits(hits: FloatArray) -> FloatArray:
    """Weights of label answers along the first axis: 0.3 (hit - mean) / max(sd, 0.2)."""
    return np.asarray(0.3 * (hits - hits.mean(axis=0)) / np.maximum(hits.std(axis=0), 0.2))
