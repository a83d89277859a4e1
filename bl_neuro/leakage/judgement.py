"""What an evaluator says of inversions: its class probabilities (K, classes), and the class each inverts (K,).

The measures and their names are BrainLeaks' (arXiv 2402.00906, section V).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import judged, labels_of, numbers, positive


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


SILENT = -1
"""The answer of a target that stays silent, as `bl_neuro.access.answered` gives it: of no class."""


def attack_success(answers: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Fraction of inversions (K,) that the target answers with their class, 0..1; silence (-1) is never right."""
    said = np.asarray(answers)
    if said.ndim != 1 or said.size == 0 or said.dtype.kind not in "iu" or said.min() < SILENT:
        raise InputError(f"answers: expected whole numbers (K,) of at least -1, found {said.dtype} of {said.shape}")
    wanted = labels_of(classes, len(said), "classes")
    return float((said == wanted).mean())


def target_confidence(scores: npt.ArrayLike, classes: npt.ArrayLike) -> float:
    """Mean share of the inverted class in the target's own `scores` (K, classes), 0..1.

    Scores are 0 or more, of any scale: the mean softmax of the membrane, or counts of output spikes. Each row is
    divided by its sum; a row without any counts as 0.
    """
    table, own = judged(scores, classes)
    if table.min() < 0:
        raise InputError(f"scores: expected 0 or more, found {table.min()}")
    total = table.sum(axis=1)
    share = np.divide(table[np.arange(len(own)), own], total, out=np.zeros_like(total), where=total > 0)
    return float(share.mean())


def held_at(queries: npt.ArrayLike, values: npt.ArrayLike, grid: npt.ArrayLike) -> FloatArray:
    """What an attack had in hand at each query count of `grid` (H,): the latest of `values` (G, ...) by then.

    queries (G,), not decreasing: spent when each value was reached. An attacker holds the last result until the next
    one, so nothing is interpolated. Returns (H, ...).

    Raises:
        InputError: the grid begins before the first value was there.
    """
    spent, wanted, found = numbers(queries, "queries"), numbers(grid, "grid"), numbers(values, "values")
    if spent.ndim != 1 or len(spent) == 0 or (np.diff(spent) < 0).any():
        raise InputError(f"queries: expected (G,) that does not decrease, found shape {spent.shape}")
    if found.ndim == 0 or len(found) != len(spent) or wanted.ndim != 1:
        raise InputError(f"values: expected {len(spent)} of them and a grid (H,), found {found.shape}, {wanted.shape}")
    if len(wanted) and wanted.min() < spent[0]:
        raise InputError(f"grid: expected at least {spent[0]:g} queries, when the first value was there")
    return np.asarray(found[np.searchsorted(spent, wanted, side="right") - 1])
