"""RMIA, the relative membership attack (Zarifzadeh et al. 2024, arXiv 2312.03262, equations 3, 4 and 10).

The target's probability p(x | target) of the true label is compared with the probability p(x) that networks assign on
average, and this ratio with those of reference samples z:

    r(x) = p(x | target) / p(x)        score(x) = share of reference samples with r(x) / r(z) > gamma

    online    p(x) = (mean over networks trained on x + mean over the others) / 2
    offline   p(x) = ((1 + a) (mean over networks not trained on x) + 1 - a) / 2

Samples with fewer than two shadow networks on a side have r = 1. For one target the score orders samples as r(x) does;
reference samples make scores of several targets comparable.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers
from bl_neuro.leakage.shadows import Mask, Shadows, target_values

GAMMA = 1.0
OFFLINE_A = 0.3
LEAST_PROBABILITY = 1e-12


def rmia(probabilities: npt.ArrayLike, shadows: Shadows, reference: Mask, gamma: float = GAMMA) -> FloatArray:
    """Scores (n,), 0..1, from shadow networks on both sides of every sample.

    probabilities (n,): of the true label by the target; shadows: the same by the shadow networks, with one statistic.
    reference (n,): the samples that serve as z; a sample is not compared with itself. gamma: above 0.

    Raises:
        InputError: arguments that do not fit, or probabilities outside 0..1.
    """
    known = shadows.on_both_sides()
    values = _probabilities(shadows.values, "shadows")[..., 0]
    usual = (_mean(values, shadows.members) + _mean(values, ~shadows.members)) / 2
    return _scores(probabilities, shadows, np.where(known, usual, np.nan), reference, gamma)


def rmia_offline(
    probabilities: npt.ArrayLike, shadows: Shadows, reference: Mask, gamma: float = GAMMA, a: float = OFFLINE_A
) -> FloatArray:
    """Scores (n,), 0..1, only from shadow networks that were not trained on the sample.

    a: 0..1, how much less networks know samples that they were not trained on; see the module.

    Raises:
        InputError: as `rmia`.
    """
    known = shadows.outside_enough()
    share = float(numbers(a, "a"))
    if not 0 <= share <= 1:
        raise InputError(f"a: expected 0..1, found {a}")
    outside = _mean(_probabilities(shadows.values, "shadows")[..., 0], ~shadows.members)
    usual = np.where(known, ((1 + share) * outside + 1 - share) / 2, np.nan)
    return _scores(probabilities, shadows, usual, reference, gamma)


def _probabilities(values: npt.ArrayLike, name: str) -> FloatArray:
    checked = numbers(values, name)
    if checked.min() < 0 or checked.max() > 1:
        raise InputError(f"{name}: expected probabilities, found {checked.min():g}..{checked.max():g}")
    return checked


def _mean(values: FloatArray, chosen: Mask) -> FloatArray:
    mean: FloatArray = (values * chosen).sum(axis=0) / np.maximum(chosen.sum(axis=0), 1)
    return mean


def _scores(
    probabilities: npt.ArrayLike, shadows: Shadows, usual: FloatArray, reference: Mask, gamma: float
) -> FloatArray:
    given = _probabilities(probabilities, "probabilities")
    asked = target_values(given[:, None] if given.ndim == 1 else given, shadows)[:, 0]
    limit, chosen = float(numbers(gamma, "gamma")), np.asarray(reference)
    if limit <= 0:
        raise InputError(f"gamma: expected above 0, found {gamma}")
    if chosen.dtype != bool or chosen.shape != asked.shape or chosen.sum() < 2:
        raise InputError(f"reference: expected booleans {asked.shape}, at least 2 of them True")
    ratio = np.maximum(asked, LEAST_PROBABILITY) / np.maximum(usual, LEAST_PROBABILITY)
    ratio = np.where(np.isnan(usual), 1.0, ratio)
    below = np.searchsorted(np.sort(ratio[chosen]), ratio / limit, "left")
    own = chosen & (ratio / limit > ratio)  # a sample's comparison with itself
    scores: FloatArray = (below - own) / (chosen.sum() - chosen)
    return scores
