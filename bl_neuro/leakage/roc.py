"""How well scores separate members from non-members: ROC curve, AUC, true-positive rate at low false-positive rates.

An attack says "member" where the score is at least a threshold. Samples of equal scores are told apart by no threshold,
so that the curve only has points between distinct scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers
from bl_neuro.leakage.shadows import Mask

LOW_RATES = (0.001, 0.01)
"""False-positive rates at which true-positive rates are reported (Carlini et al. 2022)."""
MEASURES = ("auc", "tpr_at_0.1%", "tpr_at_1%", "balanced_accuracy")
"""The measures of `separation`, in order."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Points of ROC curves: false-positive and true-positive rates (R, points), from (0, 0) to (1, 1)."""

    false: FloatArray
    true: FloatArray

    @property
    def auc(self) -> FloatArray:
        """Area under each curve, (R,): the probability that a member scores above a non-member, ties as one half."""
        area: FloatArray = (np.diff(self.false) * (self.true[:, 1:] + self.true[:, :-1]) / 2).sum(axis=1)
        return area

    def true_at(self, rate: float) -> FloatArray:
        """The largest true-positive rate, (R,), of a threshold whose false-positive rate is at most `rate`."""
        last = (self.false <= rate + 1e-12).sum(axis=1) - 1
        rates: FloatArray = self.true[np.arange(len(last)), last]
        return rates

    @property
    def balanced_accuracy(self) -> FloatArray:
        """The largest mean, (R,), of true-positive and true-negative rate over all thresholds."""
        best: FloatArray = ((self.true + 1 - self.false) / 2).max(axis=1)
        return best


def roc_curve(scores: npt.ArrayLike, members: Mask, weights: npt.NDArray[np.int64] | None = None) -> RocCurve:
    """The ROC curve of scores (n,), given which samples are members (n,).

    weights (R, n): how often each sample counts, for R curves at once; one curve of all samples by default.

    Raises:
        InputError: no member or no non-member, or arguments that do not fit.
    """
    values, inside = numbers(scores, "scores"), np.asarray(members)
    if values.ndim != 1 or inside.shape != values.shape or inside.dtype != bool:
        raise InputError(f"members: expected booleans {values.shape}, one per score (n,), found {inside.shape}")
    if inside.all() or not inside.any():
        raise InputError("members: expected members and non-members, found only one of them")
    counts = np.ones((1, len(values)), dtype=np.int64) if weights is None else np.asarray(weights)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    return RocCurve(*(_rates(counts[:, order] * side[order], ends) for side in (~inside, inside)))


def _rates(counts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> FloatArray:
    """The share of the counted samples up to each end, preceded by 0."""
    total = counts.sum(axis=1, keepdims=True)
    shares = counts.cumsum(axis=1)[:, ends] / np.maximum(total, 1)
    return np.concatenate([np.zeros((len(counts), 1)), shares], axis=1)


def separation(curve: RocCurve) -> FloatArray:
    """The `MEASURES` of each curve, (R, 4)."""
    return np.stack([curve.auc, *(curve.true_at(rate) for rate in LOW_RATES), curve.balanced_accuracy], axis=1)
