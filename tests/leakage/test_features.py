"""Distances in an evaluator's features, against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, cosine, euclidean

from bl_neuro import InputError
from bl_neuro.leakage import feature_cosines, feature_distances, nearest_feature_distances


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features of inversions, their classes, features of samples, their labels; three or more of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.repeat([0, 2, 5], 3), rng.choice([0, 2, 5], 12)]))
    return rng.normal(size=(6, 4)), rng.choice([0, 2, 5], 6), rng.normal(size=(21, 4)) + labels[:, None], labels


@given(st.integers(0, 10**6))
def test_to_the_mean_of_the_class(seed: int) -> None:
    features, classes, samples, labels = drawn(seed)
    centres = [samples[labels == label].mean(axis=0) for label in classes]
    expected = [1 - cosine(one, centre) for one, centre in zip(features, centres)]
    assert feature_cosines(features, classes, samples, labels) == pytest.approx(expected)
    expected = [euclidean(one, centre) for one, centre in zip(features, centres)]
    assert feature_distances(features, classes, samples, labels) == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(["euclidean", "cosine"]))
def test_to_the_nearest_of_the_class(seed: int, neighbours: int, metric: str) -> None:
    features, classes, samples, labels = drawn(seed)
    distance = np.where(labels == classes[:, None], cdist(features, samples, metric), np.inf)
    expected = np.sort(distance, axis=1)[:, :neighbours].mean(axis=1)
    found = nearest_feature_distances(
        features,
        classes,
        samples,
        labels,
        neighbours=neighbours,
        metric=metric,  # type: ignore[arg-type]
    )
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_sample_itself() -> None:
    _, _, samples, labels = drawn(0)
    assert nearest_feature_distances(samples, labels, samples, labels) == pytest.approx(0.0, abs=1e-6)
    assert feature_cosines(samples[:1] * 0, labels[:1], samples, labels).tolist() == [0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, c, s, n: (f[:, :3], c, s, n), "samples: expected"),
        (lambda f, c, s, n: (f[:, :, None], c, s[:, :, None], n), r"features: expected \(K, D\)"),
        (lambda f, c, s, n: (f, c[1:], s, n), "classes: expected whole numbers"),
        (lambda f, c, s, n: (f, c, s, n[1:]), "labels: expected whole numbers"),
        (lambda f, c, s, n: (f, c * 0 + 1, s, n), "samples: expected at least 1 of class 1, found 0"),
        (lambda f, c, s, n: (f * np.nan, c, s, n), "features: expected numbers"),
    ],
)
def test_refuses(change: object, message: str) -> None:
    for measure in (feature_cosines, feature_distances, nearest_feature_distances):
        with pytest.raises(InputError, match=message):
            measure(*change(*drawn(0)))  # type: ignore[operator]


def test_refuses_other_metrics_and_too_many_neighbours() -> None:
    with pytest.raises(InputError, match="metric: expected 'euclidean' or 'cosine', found 'manhattan'"):
        nearest_feature_distances(*drawn(0), metric="manhattan")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="neighbours: expected a whole number"):
        nearest_feature_distances(*drawn(0), neighbours=0)
    with pytest.raises(InputError, match=r"samples: expected at least 20 of class \d, found"):
        nearest_feature_distances(*drawn(0), neighbours=20)
