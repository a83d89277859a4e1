"""Distances between inversions and training data in an evaluator's feature space, such as its penultimate layer.

All functions take features (K, D) of the inversions with their classes (K,), and features (N, D) of training samples
with their labels (N,). Results are only comparable if they use the same evaluator.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, labels_of, positive

Metric = Literal["euclidean", "cosine"]


def feature_cosines(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> FloatArray:
    """Cosine between each inversion's features and the mean features of its class, (K,), -1..1; 0 for zero features."""
    inversions, centres = _centred(features, classes, samples, labels)
    return np.asarray((_unit(inversions) * _unit(centres)).sum(axis=1))


def feature_distances(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> FloatArray:
    """Euclidean distance of each inversion's features from the mean features of its class, (K,), 0 or more.

    The "feature distance" of Zhang et al. 2020 (The Secret Revealer, section 4).
    """
    inversions, centres = _centred(features, classes, samples, labels)
    return np.asarray(np.linalg.norm(inversions - centres, axis=1))


def nearest_feature_distances(
    features: npt.ArrayLike,
    classes: npt.ArrayLike,
    samples: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    neighbours: int = 1,
    metric: Metric = "euclidean",
) -> FloatArray:
    """Mean distance of each inversion's features from the `neighbours` nearest samples of its class, (K,), 0 or more.

    With one neighbour and the Euclidean metric, the "KNN distance" of Zhang et al. 2020. cosine: 1 - cosine, 0..2.

    Raises:
        InputError: a class has fewer samples than `neighbours`.
    """
    if metric not in ("euclidean", "cosine"):
        raise InputError(f"metric: expected 'euclidean' or 'cosine', found {metric!r}")
    from sklearn.neighbors import NearestNeighbors

    count = positive(neighbours, "neighbours")
    inversions, inverted, sample_features, sample_labels = _checked(features, classes, samples, labels)
    distances = np.empty(len(inverted))
    for label in np.unique(inverted):
        members = sample_features[sample_labels == label]
        if len(members) < count:
            raise InputError(f"samples: expected at least {count} of class {label}, found {len(members)}")
        search = NearestNeighbors(n_neighbors=count, metric=metric, algorithm="brute").fit(members)
        distances[inverted == label] = search.kneighbors(inversions[inverted == label])[0].mean(axis=1)
    return distances


def _centred(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """The inversions' features, and the mean features of each inversion's class."""
    inversions, inverted, sample_features, sample_labels = _checked(features, classes, samples, labels)
    present, class_index = np.unique(inverted, return_inverse=True)
    missing = np.setdiff1d(present, sample_labels)
    if len(missing):
        raise InputError(f"samples: expected at least 1 of class {missing[0]}, found 0")
    centres = np.stack([sample_features[sample_labels == label].mean(axis=0) for label in present])
    return inversions, centres[class_index]


def _unit(rows: FloatArray) -> FloatArray:
    length: FloatArray = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def _checked(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
    inversions = images_of(features, None, "features")
    if inversions.ndim != 2:
        raise InputError(f"features: expected (K, D), found {inversions.shape}")
    sample_features = images_of(samples, inversions.shape[1:], "samples")
    inverted = labels_of(classes, len(inversions), "classes")
    return inversions, inverted, sample_features, labels_of(labels, len(sample_features), "labels")
