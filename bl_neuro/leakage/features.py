"""How near inversions come to the training data in the features of an evaluator: its last layer but one, say.

All take features (K, D) of the inversions with their classes (K,), and features (N, D) of training samples with their
labels (N,). They belong to one evaluator, and compare with others' figures only under the same one.
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
    """Cosine between each inversion's features and the mean features of its class, (K,), -1..1; 0 for no features."""
    ours, centres = _centred(features, classes, samples, labels)
    return np.asarray((_unit(ours) * _unit(centres)).sum(axis=1))


def feature_distances(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> FloatArray:
    """Euclidean distance of each inversion's features from the mean features of its class, (K,), 0 or more.

    The "feature distance" of Zhang et al. 2020 (The Secret Revealer, section 4).
    """
    ours, centres = _centred(features, classes, samples, labels)
    return np.asarray(np.linalg.norm(ours - centres, axis=1))


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

    wanted = positive(neighbours, "neighbours")
    ours, own, theirs, known = _checked(features, classes, samples, labels)
    distances = np.empty(len(own))
    for label in np.unique(own):
        members = theirs[known == label]
        if len(members) < wanted:
            raise InputError(f"samples: expected at least {wanted} of class {label}, found {len(members)}")
        search = NearestNeighbors(n_neighbors=wanted, metric=metric, algorithm="brute").fit(members)
        distances[own == label] = search.kneighbors(ours[own == label])[0].mean(axis=1)
    return distances


def _centred(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """The inversions' features, and beside each the mean features of its class."""
    ours, own, theirs, known = _checked(features, classes, samples, labels)
    present, place = np.unique(own, return_inverse=True)
    missing = np.setdiff1d(present, known)
    if len(missing):
        raise InputError(f"samples: expected at least 1 of class {missing[0]}, found 0")
    centres = np.stack([theirs[known == label].mean(axis=0) for label in present])
    return ours, centres[place]


def _unit(rows: FloatArray) -> FloatArray:
    length: FloatArray = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def _checked(
    features: npt.ArrayLike, classes: npt.ArrayLike, samples: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
    ours = images_of(features, None, "features")
    if ours.ndim != 2:
        raise InputError(f"features: expected (K, D), found {ours.shape}")
    theirs = images_of(samples, ours.shape[1:], "samples")
    own = labels_of(classes, len(ours), "classes")
    return ours, own, theirs, labels_of(labels, len(theirs), "labels")
