"""Do inversions resemble the very samples the target was trained on, or others of the same class just as much?

At chance, the attack recovers what a class looks like (a prototype) and not who was in the training set.
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

MOST_VALUES = 2**21
"""Values drawn at once: 16 MiB of int64, several times over."""


@dataclass(frozen=True)
class Membership:
    """How well likeness to the inversions tells members from others: 0.5 is not at all, 1 is perfectly.

    low, high: the 95% interval over samples, for these inversions of this target. For several targets take
    `seed_bootstrap` of their AUCs. members, others: samples compared.
    """

    auc: float
    low: float
    high: float
    members: int
    others: int

    @property
    def at_chance(self) -> bool:
        """Whether the interval includes 0.5: inversions are no more like members than like others."""
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
    """AUC of the attack "the more a sample is like an inversion of its class, the likelier it was trained on".

    images (K, ...) of `classes` (K,): inversions. members (M, ...): samples the target was trained on. others (N, ...):
    samples it never saw. Members and others must be split at random from one source, since any other difference
    between them shows too (the two halves of MNIST's training file differ by .009, its test images come from other
    writers). A sample's score is its highest Pearson correlation with an inversion of its class. AUC is the
    Mann-Whitney probability that a member scores above another sample of the same class, ties a half, averaged over
    the classes that all three hold. Each resample draws members and others of each class with replacement.

    Raises:
        InputError: shapes disagree, or no class is in all three.
    """
    inside, in_labels = _scores(images, classes, members, member_labels, "member_labels")
    outside, out_labels = _scores(images, classes, others, other_labels, "other_labels")
    shared = np.intersect1d(np.intersect1d(in_labels, out_labels), np.asarray(classes))
    if not len(shared):
        raise InputError("labels: expected a class that has inversions, members and others; found none")
    count, rng = positive(resamples, "resamples"), stream(seed, "membership")
    pairs = [(inside[in_labels == label], outside[out_labels == label]) for label in shared]
    value = np.mean([_auc(one, two) for one, two in pairs])
    drawn = np.mean([_resampled_auc(one, two, count, rng) for one, two in pairs], axis=0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    compared = sum(len(one) for one, _ in pairs), sum(len(two) for _, two in pairs)
    return Membership(float(value), float(low), float(high), *compared)


def _scores(
    images: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike, name: str
) -> tuple[FloatArray, IntArray]:
    """Each sample's highest correlation with an inversion of its class, and its label; -inf where there is none."""
    pictures = images_of(images, None, "images")
    own = labels_of(classes, len(pictures), "classes")
    known = labels_of(labels, np.atleast_1d(np.asarray(samples)).shape[0], name)
    scores = np.empty(len(known))
    for block, correlation in correlation_blocks(pictures, samples):
        scores[block] = np.where(known[block] == own[:, None], correlation, -np.inf).max(axis=0)
    return scores, known


def _auc(inside: FloatArray, outside: FloatArray) -> float:
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, "left") + np.searchsorted(ranked, inside, "right")
    return float(below.mean() / (2 * len(outside)))


def _resampled_auc(inside: FloatArray, outside: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """AUCs (resamples,) of both sides drawn with replacement: by how often each is drawn, without sorting again."""
    ranked = np.sort(outside)
    left, right = np.searchsorted(ranked, inside, "left"), np.searchsorted(ranked, inside, "right")
    at_once = max(1, MOST_VALUES // (len(inside) + len(outside)))
    found = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        times_inside, times_outside = _times(len(inside), count, rng), _times(len(outside), count, rng)
        below = np.concatenate([np.zeros((count, 1), np.int64), times_outside.cumsum(axis=1)], axis=1)
        won = (times_inside * (below[:, left] + below[:, right])).sum(axis=1)
        found.append(won / (2 * len(inside) * len(outside)))
    return np.concatenate(found)


def _times(size: int, resamples: int, rng: np.random.Generator) -> IntArray:
    """How often each of `size` is drawn in `size` draws with replacement, (resamples, size)."""
    places = rng.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * size).reshape(resamples, size)
