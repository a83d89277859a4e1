"""Measures from an evaluator's class probabilities (K, classes) of inversions, and the class of each inversion (K,).

The measures and their names are those of BrainLeaks (arXiv 2402.00906, section V).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import judged, labels_of, numbers, positive


def hits(probabilities: npt.ArrayLike, classes: npt.ArrayLike, top: int = 1) -> BoolArray:
    """Whether each inversion's class is among the evaluator's `top` classes, (K,); a tie counts as a miss."""
    table, inverted = judged(probabilities, classes)
    score = table[np.arange(len(inverted)), inverted]
    others_at_least = (table >= score[:, None]).sum(axis=1) - 1
    return np.asarray(others_at_least < positive(top, "top"))


def confidences(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> FloatArray:
    """The evaluator's probability of each inversion's class, (K,), 0..1."""
    table, inverted = judged(probabilities, classes)
    return np.asarray(table[np.arange(len(inverted)), inverted])


def attack_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Fraction of inversions for which the evaluator ranks the inverted class first, 0..1."""
    return top_accuracy(probabilities, classes, 1)


def top_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike, top: int) -> float:
    """Fraction of inversions whose class is among the evaluator's `top` classes, 0..1; a tie counts as a miss."""
    return float(hits(probabilities, classes, top).mean())


def confidence(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """The evaluator's mean probability of the inverted class, 0..1."""
    return float(confidences(probabilities, classes).mean())


def differential_accuracy(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float | None:
    """Differential attack accuracy (DAA): fraction of classes whose own inversion scores highest for the class.

    The comparison is among one inversion per class. With several inversions per class, the mean over complete rounds
    (the first of each class, the second, ...). None with fewer than two classes; a tie counts as a miss. The measure
    saturates: it can be 1 while attack accuracy is 0.3.
    """
    table, inverted = judged(probabilities, classes)
    present = np.unique(inverted)
    if len(present) < 2:
        return None
    rows = [np.flatnonzero(inverted == label) for label in present]
    rounds = min(len(row) for row in rows)
    right = []
    for turn in range(rounds):
        chosen = np.array([row[turn] for row in rows])
        scores = table[np.ix_(chosen, present)]  # [inversion, class]
        right.append(((scores >= scores.diagonal()).sum(axis=0) == 1).mean())
    return float(np.mean(right))


SILENT = -1
"""Answer of a target whose output neurons do not spike, see `bl_neuro.access.response_classes`; it is no class."""


def attack_success(answers: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Fraction of inversions (K,) that the target classifies as their class, 0..1; silence (-1) is always wrong."""
    predicted = np.asarray(answers)
    if predicted.ndim != 1 or predicted.size == 0 or predicted.dtype.kind not in "iu" or predicted.min() < SILENT:
        raise InputError(
            f"answers: expected whole numbers (K,) of at least -1, found {predicted.dtype} of {predicted.shape}"
        )
    inverted = labels_of(classes, len(predicted), "classes")
    return float((predicted == inverted).mean())


def target_confidence(scores: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Mean share of the inverted class in the target's own `scores` (K, classes), 0..1.

    Scores are non-negative, of any scale: the mean softmax of the membrane potential, or output spike counts. Each row
    is divided by its sum; a row of zeros counts as 0.
    """
    table, inverted = judged(scores, classes)
    if table.min() < 0:
        raise InputError(f"scores: expected 0 or more, found {table.min()}")
    total = table.sum(axis=1)
    share = np.divide(table[np.arange(len(inverted)), inverted], total, out=np.zeros_like(total), where=total > 0)
    return float(share.mean())


def held_at(queries: npt.ArrayLike, values: npt.ArrayLike, grid: npt.ArrayLike) -> FloatArray:
    """An attack's result at each query count of `grid` (H,): the latest of `values` (G, ...) reached by then.

    queries (G,): non-decreasing number of queries spent when each value was reached. Values are not interpolated, since
    an attacker keeps the last result until the next one. Returns (H, ...).

    Raises:
        InputError: the grid starts before the first value was reached.
    """
    spent, grid_points, reached = numbers(queries, "queries"), numbers(grid, "grid"), numbers(values, "values")
    if spent.ndim != 1 or len(spent) == 0 or (np.diff(spent) < 0).any():
        raise InputError(f"queries: expected non-decreasing values (G,), found shape {spent.shape}")
    if reached.ndim == 0 or len(reached) != len(spent) or grid_points.ndim != 1:
        raise InputError(
            f"values: expected {len(spent)} of them and a grid (H,), found {reached.shape}, {grid_points.shape}"
        )
    if len(grid_points) and grid_points.min() < spent[0]:
        raise InputError(f"grid: expected at least {spent[0]:g} queries, where the first value was reached")
    return np.asarray(reached[np.searchsorted(spent, grid_points, side="right") - 1])
