"""What a membership attack computes from the answers of a network about samples whose labels it knows.

For the outputs of a black box (`bl_neuro.BlackBox`), with C classes and the label y of a sample:

    scores      log p_y - log sum of the other p              the logit of Carlini et al. 2022
    membrane    the same for the mean of softmax(membrane) over time, and the membrane potential of y averaged over
                time, less the largest of another class
    counts      spikes of y, less those of the other class that spiked most
    spikes      the same, and the number of steps by which y spiked before any other class
    label       1 if the answer is y, else 0

The probability of y, which RMIA needs, is p_y for scores and membrane, (n_y + 1/2) / (sum n + C / 2) for spike counts
n, and the answer itself for labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError

LEAST_PROBABILITY = 1e-6
STATISTICS = {"membrane": 2, "scores": 1, "spikes": 2, "counts": 1, "label": 1}
"""The number of statistics by output."""


def statistics(answers: npt.NDArray[Any], reveals: str, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Statistics (B, D) and probabilities (B,) of the true labels (B,), from the answers of a black box.

    answers: membrane potentials or spikes (T, B, C), scores or counts (B, C), or labels (B,).

    Raises:
        InputError: an unknown output, or answers of another shape.
    """
    if reveals not in STATISTICS:
        raise InputError(f"reveals: expected one of {', '.join(STATISTICS)}, found {reveals!r}")
    values, ndim = np.asarray(answers, dtype=np.float64), {"label": 1, "scores": 2, "counts": 2}.get(reveals, 3)
    if values.ndim != ndim or values.shape[0 if ndim < 3 else 1] != len(labels):
        raise InputError(f"answers: expected those about {len(labels)} samples, found {values.shape} for {reveals}")
    if reveals == "label":
        right = (values == labels).astype(np.float64)
        return right[:, None], right
    if reveals in ("scores", "membrane"):
        return _of_scores(values, labels) if reveals == "scores" else _of_membrane(values, labels)
    counts = values if reveals == "counts" else values.sum(axis=0)
    lead = _lead(counts, labels)
    parts = [lead] if reveals == "counts" else [lead, _earlier(values, labels)]
    own = counts[np.arange(len(labels)), labels]
    return np.stack(parts, axis=1), (own + 0.5) / (counts.sum(axis=1) + counts.shape[1] / 2)


def _of_scores(scores: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    clipped = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    own = clipped[np.arange(len(labels)), labels]
    others = clipped.sum(axis=1) - own
    return (np.log(own) - np.log(others))[:, None], np.clip(scores[np.arange(len(labels)), labels], 0, 1)


def _of_membrane(membrane: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    rising = np.exp(membrane - membrane.max(axis=2, keepdims=True))
    logits, probability = _of_scores((rising / rising.sum(axis=2, keepdims=True)).mean(axis=0), labels)
    return np.concatenate([logits, _lead(membrane.mean(axis=0), labels)[:, None]], axis=1), probability


def _lead(values: FloatArray, labels: IntArray) -> FloatArray:
    """The value of the label, less the largest of another class."""
    rows = np.arange(len(labels))
    others = values.copy()
    others[rows, labels] = -np.inf
    lead: FloatArray = values[rows, labels] - others.max(axis=1)
    return lead


def _earlier(spikes: FloatArray, labels: IntArray) -> FloatArray:
    """Steps by which the label spiked before any other class; without spikes, a class spikes after the last step."""
    first = np.where(spikes.any(axis=0), spikes.argmax(axis=0), len(spikes)).astype(np.float64)
    return _lead(-first, labels)
