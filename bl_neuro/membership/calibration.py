"""Scores of shadow networks as targets, which tell an attacker how high scores of non-members are."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import within
from bl_neuro.errors import InputError
from bl_neuro.leakage.membership_attacks import MEMBERSHIP_ATTACKS, Answers
from bl_neuro.leakage.shadows import Mask


def leave_one_out(attack: str, shadows: Answers) -> FloatArray:
    """Scores (N, n) of `attack` on each shadow network, with the others as its shadow networks.

    Raises:
        InputError: without one network, too few are left on a side of too many samples.
    """
    score = MEMBERSHIP_ATTACKS[attack]
    return np.stack(
        [
            score(shadows.statistics[number], shadows.probabilities[number], shadows.without(number))
            for number in range(len(shadows.members))
        ]
    )


def score_limit(scores: FloatArray, members: Mask, false_positive_rate: float) -> float:
    """The limit above which at most this share of non-members scores, given scores and members of the same shape.

    Raises:
        InputError: a rate outside 0..1.
    """
    if not within(false_positive_rate, 0, 1):
        raise InputError(f"false_positive_rate: expected 0..1, found {false_positive_rate!r}")
    others = np.sort(scores[~members])[::-1]
    allowed = int(false_positive_rate * len(others) + 1e-9)
    return float(others[allowed]) if allowed < len(others) else float("-inf")
