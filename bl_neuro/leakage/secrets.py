"""How much of planted secrets an attack recovers: hits, bits and exposure.

Every class of a target has a secret, one of `choices` equally likely ones. An attack gives every choice a score, and
guesses the choice with the highest score.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers, whole_numbers


def guessed_secrets(scores: npt.ArrayLike, rng: np.random.Generator) -> IntArray:
    """The choice with the highest score of each secret, (n,), given scores (n, choices). Ties are broken at random.

    Raises:
        InputError: not a table of numbers with at least two choices.
    """
    table = _table(scores)
    best = table == table.max(axis=1, keepdims=True)
    return np.asarray(np.where(best, rng.random(table.shape), -1.0).argmax(axis=1))


def secret_ranks(scores: npt.ArrayLike, secrets: npt.ArrayLike) -> FloatArray:
    """The rank of the true choice among all choices by score, (n,) in 1..choices; 1 for the highest score.

    Choices that tie share the mean of their ranks, so scores that are all equal have rank (choices + 1) / 2.

    Raises:
        InputError: not a table of numbers with at least two choices, or secrets that are not choices.
    """
    table = _table(scores)
    true = whole_numbers(secrets, (len(table),), table.shape[1] - 1, "secrets")
    own = table[np.arange(len(table)), true][:, None]
    return np.asarray((table > own).sum(axis=1) + ((table == own).sum(axis=1) + 1) / 2)


def exposures(ranks: npt.ArrayLike, choices: int) -> FloatArray:
    """The exposure of each secret in bits, (n,) in 0..log2(choices), given its rank: log2(choices) - log2(rank).

    Source: Carlini et al. 2019, "The Secret Sharer", definition 5. A secret of the median rank has an exposure of about
    1 bit.

    Raises:
        InputError: ranks outside 1..choices.
    """
    values = numbers(ranks, "ranks")
    if choices < 2 or not ((values >= 1) & (values <= choices)).all():
        raise InputError(f"ranks: expected 1..{choices} of at least 2 choices, found {values.tolist()}")
    return np.asarray(np.log2(choices) - np.log2(values))


def recovered_bits(accuracy: float, choices: int) -> float:
    """The information about one secret in a guess that is right with probability `accuracy`, in 0..log2(choices) bits.

    log2(M) - h(e) - e log2(M - 1) with M choices, e = 1 - accuracy and the binary entropy h; 0 up to an accuracy of
    1 / M. By Fano's inequality, this is a lower bound on the mutual information of secret and guess for secrets that
    are drawn uniformly, attained if all wrong guesses are equally likely.

    Raises:
        InputError: an accuracy outside 0..1, or fewer than two choices.
    """
    if choices < 2 or not 0.0 <= accuracy <= 1.0:
        raise InputError(f"accuracy: expected 0..1 and at least 2 choices, found {accuracy!r} and {choices!r} choices")
    if accuracy <= 1 / choices:
        return 0.0
    wrong = 1.0 - accuracy
    entropy = -sum(share * np.log2(share) for share in (accuracy, wrong) if share > 0)
    return float(np.log2(choices) - entropy - wrong * np.log2(choices - 1))


def _table(scores: npt.ArrayLike) -> FloatArray:
    table = numbers(scores, "scores")
    if table.ndim != 2 or len(table) == 0 or table.shape[1] < 2:
        raise InputError(f"scores: expected (n, choices) with at least two choices, found {table.shape}")
    return table
