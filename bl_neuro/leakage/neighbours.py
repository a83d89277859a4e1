"""The most similar training sample of each inversion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, labels_of
from bl_neuro.leakage.resemblance import correlation_blocks, standardised

NONE = -1
"""Index for a constant inversion, which has no nearest sample."""


@dataclass(frozen=True, eq=False)
class NearestSamples:
    """For each of K inversions, its most similar training sample by Pearson's correlation.

    similarity, index (K,): among the samples of its own class. any_similarity, any_index, any_label (K,): among all
    samples. An index is a row of the samples, the lowest if several are equal; it is -1, like any_label, for a constant
    inversion, whose correlations are 0.
    """

    classes: IntArray
    similarity: FloatArray
    index: IntArray
    any_similarity: FloatArray
    any_index: IntArray
    any_label: IntArray

    @property
    def own_class_rate(self) -> float:
        """Fraction of inversions whose nearest training sample belongs to the inverted class, 0..1."""
        return float((self.any_label == self.classes).mean())


def nearest_samples(
    images: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> NearestSamples:
    """The nearest of the training `samples` (N, ...) with `labels` (N,) to each inversion (K, ...) of `classes` (K,).

    Memory use does not grow with N. High similarity to one sample does not show membership; see `membership_check`.

    Raises:
        InputError: shapes disagree, or a class has no sample.
    """
    pictures = images_of(images, None, "images")
    count = len(pictures)
    inverted = labels_of(classes, count, "classes")
    sample_labels = labels_of(labels, np.atleast_1d(np.asarray(samples)).shape[0], "labels")
    missing = np.setdiff1d(inverted, sample_labels)
    if len(missing):
        raise InputError(f"labels: expected a sample of every inverted class, found none of class {missing[0]}")
    best, best_own = np.full(count, -np.inf), np.full(count, -np.inf)
    index, index_own = np.full(count, NONE), np.full(count, NONE)
    for block, correlation in correlation_blocks(pictures, samples):
        _improve(best, index, correlation, block.start)
        same_class = sample_labels[block] == inverted[:, None]
        _improve(best_own, index_own, np.where(same_class, correlation, -np.inf), block.start)
    blank = ~standardised(pictures).any(axis=1)
    index[blank] = index_own[blank] = NONE
    label = np.where(blank, NONE, sample_labels[index])
    return NearestSamples(inverted, best_own, index_own, best, index, label)


def _improve(best: FloatArray, index: IntArray, correlation: FloatArray, start: int) -> None:
    """Updates, in place, the best value and index of each row with the maximum of `correlation`, if it is higher."""
    column = correlation.argmax(axis=1)
    value = correlation[np.arange(len(correlation)), column]
    better = value > best
    best[better] = value[better]
    index[better] = column[better] + start
