"""What an evaluator says of inversions: its class probabilities (K, classes), and the class each inverts (K,).

The measures and their names are BrainLeaks' (arXiv 2402.00906, section V).
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError


def attack_accuracy(probabilities: FloatArray, classes: IntArray) -> float:
    """Fraction of inversions for which the evaluator ranks the inverted class first, 0..1."""
    return top_accuracy(probabilities, classes, 1)


def top_accuracy(probabilities: FloatArray, classes: IntArray, top: int) -> float:
    """Fraction of inversions whose class is among the evaluator's `top` first, 0..1; a tie counts against it."""
    _check(probabilities, classes)
    own = probabilities[np.arange(len(classes)), classes]
    others_at_least = (probabilities >= own[:, None]).sum(axis=1) - 1
    return float((others_at_least < top).mean())


def confidence(probabilities: FloatArray, classes: IntArray) -> float:
    """The evaluator's mean probability of the inverted class, 0..1."""
    _check(probabilities, classes)
    return float(probabilities[np.arange(len(classes)), classes].mean())


def differential_accuracy(probabilities: FloatArray, classes: IntArray) -> float | None:
    """DAA: for what fraction of classes does its own inversion score highest for it among one inversion of each?

    With several inversions a class, the mean over complete rounds (the first of each class, the second, ...). None
    with fewer than two classes. It saturates: it can be 1 where attack accuracy is 0.3.
    """
    _check(probabilities, classes)
    present = np.unique(classes)
    if len(present) < 2:
        return None
    rows = [np.flatnonzero(classes == label) for label in present]
    rounds = min(len(found) for found in rows)
    hits = []
    for turn in range(rounds):
        chosen = np.array([found[turn] for found in rows])
        table = probabilities[np.ix_(chosen, present)]
        hits.append((table.argmax(axis=0) == np.arange(len(present))).mean())
    return float(np.mean(hits))


def _check(probabilities: FloatArray, classes: IntArray) -> None:
    if probabilities.ndim != 2 or len(probabilities) != len(classes) or len(classes) == 0:
        raise InputError(f"probabilities: expected ({len(classes)}, classes), found {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise InputError("probabilities: expected numbers, found NaN or infinity")
    if classes.min() < 0 or classes.max() >= probabilities.shape[1]:
        raise InputError(f"classes: expected 0..{probabilities.shape[1] - 1}, found {classes.min()}..{classes.max()}")
