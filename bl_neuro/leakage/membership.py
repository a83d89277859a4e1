"""Membership check: do inversions resemble the training samples more than other samples of the same class?

At chance level, the attack recovers the appearance of a class (a prototype) and not individual training samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL
from bl_neuro.leakage.checked import images_of, labels_of, positive
from bl_neuro.leakage.resemblance import correlation_blocks
from bl_neuro.seeding import stream

MAX_VALUES_AT_ONCE = 2**21
"""Number of values drawn at once: several arrays of 16 MiB in int64."""


@dataclass(frozen=True)
class Membership:
    """AUC of separating members from non-members by similarity to the inversions: 0.5 is chance, 1 is perfect.

    low, high: 95% interval over samples, for these inversions of this target. For several targets use `seed_bootstrap`
    of their AUCs. members, others: number of compared samples.
    """

    auc: float
    low: float
    high: float
    members: int
    others: int

    @property
    def at_chance(self) -> bool:
        """Whether the interval includes 0.5, so that inversions are not shown to be closer to members."""
        return self.low <= 0.5 <= self.high


def membership_check(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    members: npt.ArrayLike,
    member_labels: npt.ArrayLike,
    others: npt.ArrayLike,
    other_labels: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Membership:
    """AUC of the membership attack that scores a sample by its similarity to the inversions of its class.

    images (K, ...) of `classes` (K,): inversions. members (M, ...): training samples of the target. others (N, ...):
    samples it was not trained on. Members and others must be split at random from one source, since any other
    difference between them affects the AUC (the two halves of MNIST's training file differ by .009; its test images
    come from other writers). A sample's score is its highest Pearson correlation with an inversion of its class. The
    AUC is the Mann-Whitney probability that a member scores above a non-member of the same class, ties counting one
    half, averaged over the classes present in all three sets. Each resample draws the samples of each class with
    replacement.

    Raises:
        InputError: shapes disagree, or no class is present in all three sets.
    """
    pairs = _by_class(images, classes, members, member_labels, others, other_labels)
    value, drawn = _aucs(pairs, resamples, seed)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    compared = sum(len(scores) for scores, _ in pairs), sum(len(scores) for _, scores in pairs)
    return Membership(value, float(low), float(high), *compared)


@dataclass(frozen=True, eq=False)
class Likeness:
    """auc: that of `membership_check`. resampled: the same on samples drawn with replacement, (R,)."""

    auc: float
    resampled: FloatArray


def likeness(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    members: npt.ArrayLike,
    member_labels: npt.ArrayLike,
    others: npt.ArrayLike,
    other_labels: npt.ArrayLike,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Likeness:
    """The AUC of `membership_check`, for intervals over several targets.

    Targets with the same members and others get the same draws of them, in which targets and samples are crossed random
    factors; see `crossed_of`.
    """
    pairs = _by_class(images, classes, members, member_labels, others, other_labels)
    return Likeness(*_aucs(pairs, resamples, seed))


def _aucs(pairs: list[tuple[FloatArray, FloatArray]], resamples: int, seed: int) -> tuple[float, FloatArray]:
    """The mean AUC over classes, and the same on resampled samples (resamples,)."""
    count, rng = positive(resamples, "resamples"), stream(seed, "membership")
    drawn = np.mean([_resampled_auc(*pair, count, rng) for pair in pairs], axis=0)
    return float(np.mean([_auc(*pair) for pair in pairs])), drawn


def _by_class(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    members: npt.ArrayLike,
    member_labels: npt.ArrayLike,
    others: npt.ArrayLike,
    other_labels: npt.ArrayLike,
) -> list[tuple[FloatArray, FloatArray]]:
    """The scores of members and others of each class that has inversions, members and others."""
    inside, in_labels = _scores(images, classes, members, member_labels, "member_labels")
    outside, out_labels = _scores(images, classes, others, other_labels, "other_labels")
    shared = np.intersect1d(np.intersect1d(in_labels, out_labels), np.asarray(classes))
    if not len(shared):
        raise InputError("labels: expected a class that has inversions, members and others; found none")
    return [(inside[in_labels == label], outside[out_labels == label]) for label in shared]


def _scores(
    images: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike, name: str
) -> tuple[FloatArray, IntArray]:
    """Each sample's highest correlation with an inversion of its class, -inf if there is none, and its label."""
    pictures = images_of(images, None, "images")
    inverted = labels_of(classes, len(pictures), "classes")
    sample_labels = labels_of(labels, np.atleast_1d(np.asarray(samples)).shape[0], name)
    scores = np.empty(len(sample_labels))
    for block, correlation in correlation_blocks(pictures, samples):
        scores[block] = np.where(sample_labels[block] == inverted[:, None], correlation, -np.inf).max(axis=0)
    return scores, sample_labels


def _auc(inside: FloatArray, outside: FloatArray) -> float:
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, "left") + np.searchsorted(ranked, inside, "right")
    return float(below.mean() / (2 * len(outside)))


def _resampled_auc(inside: FloatArray, outside: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """AUCs (resamples,) of both groups drawn with replacement, computed from multiplicities without sorting again."""
    order = np.argsort(outside, kind="stable")
    ranked = outside[order]
    left, right = np.searchsorted(ranked, inside, "left"), np.searchsorted(ranked, inside, "right")
    at_once = max(1, MAX_VALUES_AT_ONCE // (len(inside) + len(outside)))
    aucs = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        times_inside, times_outside = _times(len(inside), count, rng), _times(len(outside), count, rng)[:, order]
        below = np.concatenate([np.zeros((count, 1), np.int64), times_outside.cumsum(axis=1)], axis=1)
        won = (times_inside * (below[:, left] + below[:, right])).sum(axis=1)
        aucs.append(won / (2 * len(inside) * len(outside)))
    return np.concatenate(aucs)


def _times(size: int, resamples: int, rng: np.random.Generator) -> IntArray:
    """Multiplicities of `size` elements in `size` draws with replacement, (resamples, size)."""
    places = rng.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * size).reshape(resamples, size)
