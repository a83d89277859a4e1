"""The nearest training sample, against SciPy's distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from bl_neuro import InputError
from bl_neuro.leakage import nearest_samples
from bl_neuro.leakage import resemblance as correlation


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inversions, their classes, samples and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, rng.integers(1, 30))])
    samples = rng.random((len(labels), 2, 3, 3)) + labels[:, None, None, None] * rng.random((2, 3, 3))
    classes = rng.integers(0, 3, 5)
    return rng.random((5, 2, 3, 3)), classes, samples, labels


@given(st.integers(0, 10**6), st.sampled_from([1, 100, 2**22]))
def test_it_is_scipys_correlation_in_blocks_of_any_size(seed: int, values: int) -> None:
    images, classes, samples, labels = drawn(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation, "MAX_VALUES_AT_ONCE", values)
        found = nearest_samples(images, classes, samples, labels)
    r = 1 - cdist(images.reshape(5, -1), samples.reshape(len(samples), -1), "correlation")
    assert found.any_similarity == pytest.approx(r.max(axis=1))
    assert found.any_index.tolist() == r.argmax(axis=1).tolist()
    assert found.any_label.tolist() == labels[r.argmax(axis=1)].tolist()
    own = np.where(labels == classes[:, None], r, -2)
    assert found.similarity == pytest.approx(own.max(axis=1))
    assert found.index.tolist() == own.argmax(axis=1).tolist()
    assert found.own_class_rate == (labels[r.argmax(axis=1)] == classes).mean()


def test_a_copy_is_found_whatever_its_brightness() -> None:
    _, _, samples, labels = drawn(1)
    found = nearest_samples(0.3 * samples[:3] + 0.2, labels[:3], samples, labels)
    assert found.similarity == pytest.approx(1.0)
    assert found.index.tolist() == found.any_index.tolist() == [0, 1, 2]
    assert found.own_class_rate == 1.0


def test_of_equal_samples_it_is_the_first() -> None:
    _, _, samples, labels = drawn(2)
    twice, both = np.concatenate([samples, samples]), np.concatenate([labels, labels])
    assert nearest_samples(samples[:3], labels[:3], twice, both).index.tolist() == [0, 1, 2]


def test_a_constant_image_is_like_none() -> None:
    _, _, samples, labels = drawn(3)
    found = nearest_samples(np.full((2, 2, 3, 3), 0.3), [0, 1], samples, labels)
    assert found.similarity.tolist() == found.any_similarity.tolist() == [0.0, 0.0]
    assert found.index.tolist() == found.any_index.tolist() == found.any_label.tolist() == [-1, -1]
    assert found.own_class_rate == 0.0


def test_samples_of_bytes_are_as_good() -> None:
    images, classes, samples, labels = drawn(4)
    pixels = np.rint(samples / samples.max() * 255).astype(np.uint8)
    one, two = (nearest_samples(images, classes, each, labels) for each in (pixels, pixels / 255))
    assert one.similarity == pytest.approx(two.similarity)
    assert one.index.tolist() == two.index.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c, s, n: (i, c, s[:, :1], n), "samples: expected"),
        (lambda i, c, s, n: (i, c, s[:0], n[:0]), "labels: expected a sample of every inverted class"),
        (lambda i, c, s, n: (i, c, s, n[1:]), "labels: expected whole numbers"),
        (lambda i, c, s, n: (i, c + 5, s, n), "found none of class 5"),
        (lambda i, c, s, n: (i, c[1:], s, n), "classes: expected whole numbers"),
        (lambda i, c, s, n: (i[:0], c[:0], s, n), "images: expected"),
        (lambda i, c, s, n: (i, c, np.where(s == s.max(), np.inf, s), n), "samples: expected numbers, found NaN"),
    ],
)
def test_refuses(change: object, message: str) -> None:
    images, _, samples, labels = drawn(0)
    with pytest.raises(InputError, match=message):
        nearest_samples(*change(images, np.zeros(5, int), samples, labels))  # type: ignore[operator]
