"""A lower bound on the epsilon of differential privacy, from guesses about the membership of many samples at once.

An attacker guesses the membership of m samples, of which each was a member with probability 1/2. If training were
epsilon-differentially private, the number of right guesses would be at most binomial with the probability
exp(epsilon) / (1 + exp(epsilon)). With p_low the lower Clopper-Pearson bound of the share of right guesses,

    epsilon >= log(p_low / (1 - p_low)),   and at least 0

holds at the same confidence. Source: Steinke, Nasr and Jagielski 2023, arXiv 2305.08846, theorem 5.2 with delta = 0.
Our targets are trained on exactly half of every class instead of on independently drawn samples, which the bound
neglects.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL
from bl_neuro.leakage.checked import numbers, positive
from bl_neuro.leakage.shadows import Mask

GUESSED = 0.05
"""Share of the samples that are guessed to be members, and as many to be no members: those of which scores say most."""


def epsilon_bound(right: int, guesses: int, confidence: float = LEVEL) -> float:
    """The lower bound on epsilon from `right` of `guesses` guesses.

    Raises:
        InputError: more right guesses than guesses, or a confidence outside 0..1.
    """
    count = positive(guesses, "guesses")
    if not 0 <= right <= count or not 0 < confidence < 1:
        raise InputError(f"right: expected 0..{count} guesses and a confidence between 0 and 1, found {right}")
    from scipy.stats import beta

    low = float(beta.ppf(1 - confidence, right, count - right + 1)) if right else 0.0
    return max(0.0, float(np.log(low / (1 - low)))) if low > 0 else 0.0


def epsilon_of_scores(scores: npt.ArrayLike, members: Mask, share: float = GUESSED) -> float:
    """The lower bound on epsilon from the `share` of samples with the highest and the lowest scores (n,).

    Scores that tie are guessed in the order of the samples, which must not depend on membership.
    """
    values = numbers(scores, "scores")
    count = max(1, int(share * len(values)))
    order = np.argsort(-values, kind="stable")
    right = int(np.asarray(members)[order[:count]].sum() + (~np.asarray(members)[order[-count:]]).sum())
    return epsilon_bound(right, 2 * count)
