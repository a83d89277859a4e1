"""Attack success: what the target itself says of inversions. It says almost nothing about leakage.

A target that is fooled has not given data away: on targets trained on shuffled labels, attacks succeed too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import judged, labels_of

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
