"""What an evaluator says of inversions: its class probabilities (K, classes), and the class each inverts (K,).

The measures and their names are BrainLeaks' (arXiv 2402.00906, section V).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.leakage.checked import judged, positive


def hits(probabilities: npt.ArrayLike, classes: npt.ArrayLike, top: int = 1) -> BoolArray:
    """Whether each inversion's class is among the evaluator's `top` first, (K,); a tie counts against it."""
    table, own = judged(probabilities, classes)
    score = table[np.arange(len(own)), own]
    others_at_least = (table >= score[:, None]).sum(axis=1) - 1
    return np.asarray(others_at_least < positive(top, "top"))


def confidences(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> FloatArray:
    """The evaluator's probability of each inversion's class, (K,), 0..1."""
    table, own = judged(probabilities, classes)
    return np.asarray(table[np.arange(len(own)), own])


def attack_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Fraction of inversions for which the evaluator ranks the inverted class first, 0..1."""
    return top_accuracy(probabilities, classes, 1)


def top_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike, top: int) -> float:
    """Fraction of inversions whose class is among the evaluator's `top` first, 0..1; a tie counts against it."""
    return float(hits(probabilities, classes, top).mean())


def confidence(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """The evaluator's mean probability of the inverted class, 0..1."""
    return float(confidences(probabilities, classes).mean())


def differential_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float | None:
    """DAA: for what fraction of classes does its own inversion score highest for it among one inversion of each?

    With several inversions a class, the mean over complete rounds (the first of each class, the second, ...). None
    with fewer than two classes; a tie counts against it. It saturates: it can be 1 where attack accuracy is 0.3.
    """
    table, own = judged(probabilities, classes)
    present = np.unique(own)
    if len(present) < 2:
        return None
    rows = [np.flatnonzero(own == label) for label in present]
    rounds = min(len(found) for found in rows)
    right = []
    for turn in range(rounds):
        chosen = np.array([found[turn] for found in rows])
        scores = table[np.ix_(chosen, present)]  # [inversion, class]
        right.append(((scores >= scores.diagonal()).sum(axis=0) == 1).mean())
    return float(np.mean(right))
