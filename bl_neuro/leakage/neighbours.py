"""The training sample that each inversion is most like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, labels_of
from bl_neuro.leakage.resemblance import correlation_blocks, standardised

NONE = -1
"""The index of the nearest sample of a constant inversion, which is like no sample at all."""


@dataclass(frozen=True, eq=False)
class NearestSamples:
    """For each of K inversions, its most similar training sample by Pearson's correlation.

    similarity, index (K,): among the samples of its own class. any_similarity, any_index, any_label (K,): among all.
    An index is a row of the samples; the lowest where several are equal; -1 for a constant inversion, which
    correlates 0 with everything (its any_label is -1 too).
    """

    classes: IntArray
    similarity: FloatArray
    index: IntArray
    any_similarity: FloatArray
    any_index: IntArray
    any_label: IntArray

    @property
    def own_class_rate(self) -> float:
        """How often the nearest of all training samples is of the inverted class, 0..1."""
        return float((self.any_label == self.classes).mean())


def nearest_samples(
    images: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> NearestSamples:
    """The nearest of the training `samples` (N, ...) with `labels` (N,) to each inversion (K, ...) of `classes` (K,).

    Memory does not grow with N. A high similarity to one sample is not yet membership, see `membership_check`.

    Raises:
        InputError: shapes disagree, or a class has no sample.
    """
    pictures = images_of(images, None, "images")
    count = len(pictures)
    own = labels_of(classes, count, "classes")
    known = labels_of(labels, np.atleast_1d(np.asarray(samples)).shape[0], "labels")
    missing = np.setdiff1d(own, known)
    if len(missing):
        raise InputError(f"labels: expected a sample of every inverted class, found none of class {missing[0]}")
    best, best_own = np.full(count, -np.inf), np.full(count, -np.inf)
    index, index_own = np.full(count, NONE), np.full(count, NONE)
    for block, correlation in correlation_blocks(pictures, samples):
        _improve(best, index, correlation, block.start)
        _improve(best_own, index_own, np.where(known[block] == own[:, None], correlation, -np.inf), block.start)
    blank = ~standardised(pictures).any(axis=1)
    index[blank] = index_own[blank] = NONE
    label = np.where(blank, NONE, known[index])
    return NearestSamples(own, best_own, index_own, best, index, label)


def _improve(best: FloatArray, index: IntArray, found: FloatArray, start: int) -> None:
    """Takes over, in place, the highest of each row of `found` where it is above the best so far."""
    column = found.argmax(axis=1)
    value = found[np.arange(len(found)), column]
    better = value > best
    best[better] = value[better]
    index[better] = column[better] + start
