"""Similarity of inversions to class means, against scikit-image and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from skimage import metrics

from bl_neuro import InputError
from bl_neuro.leakage import pearson_selectivity, structural_similarity


def drawn(seed: int, channels: int = 1, side: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, their classes, and class means."""
    rng = np.random.default_rng(seed)
    means = rng.random((4, channels, side, side + 2))
    classes = rng.integers(0, 4, 5)
    return np.clip(means[classes] * rng.random() + rng.random((5, *means.shape[1:])) * 0.5, 0, 1), classes, means


def stretched(image: np.ndarray) -> np.ndarray:
    return (image - image.min()) / np.ptp(image)


@given(st.integers(0, 10**6), st.integers(1, 3))
def test_ssim_is_scikit_images(seed: int, channels: int) -> None:
    images, classes, means = drawn(seed, channels)
    expected = [
        metrics.structural_similarity(stretched(image), stretched(means[label]), data_range=1.0, channel_axis=0)
        for image, label in zip(images, classes)
    ]
    assert structural_similarity(images, classes, means) == pytest.approx(np.mean(expected), abs=1e-9)
    for image, label, similarity in zip(images, classes, expected):
        assert structural_similarity(image[None], np.array([label]), means) == pytest.approx(similarity, abs=1e-9)


@given(st.integers(0, 10**6))
def test_selectivity_is_scipys_correlation(seed: int) -> None:
    images, classes, means = drawn(seed, channels=2)
    margins = []
    for image, label in zip(images, classes):
        r = [pearsonr(image.ravel(), mean.ravel()).statistic for mean in means]
        margins.append(r[label] - max(r[:label] + r[label + 1 :]))
    assert pearson_selectivity(images, classes, means) == pytest.approx(np.mean(margins))


@given(st.integers(0, 10**6), st.floats(0.1, 3.0), st.floats(-1.0, 1.0))
def test_brightness_and_contrast_do_not_matter(seed: int, gain: float, offset: float) -> None:
    images, classes, means = drawn(seed)
    order = np.random.default_rng(seed).permutation(5)
    for measure in (pearson_selectivity, structural_similarity):
        expected = pytest.approx(measure(images, classes, means), abs=1e-9)
        assert measure(images * gain + offset, classes, means) == expected
        assert measure(images[order], classes[order], means) == expected


@given(st.integers(0, 10**6))
def test_ranges(seed: int) -> None:
    images, classes, means = drawn(seed)
    assert -2 <= pearson_selectivity(images, classes, means) <= 2
    assert -1 <= structural_similarity(images, classes, means) <= 1


def test_a_perfect_copy() -> None:
    _, _, means = drawn(3)
    classes = np.arange(4)
    assert structural_similarity(means, classes, means) == pytest.approx(1.0)
    others = np.corrcoef(means.reshape(4, -1)) - 2 * np.eye(4)
    assert pearson_selectivity(means, classes, means) == pytest.approx((1 - others.max(1)).mean())
    assert pearson_selectivity(means[[1, 0]], np.array([0, 1]), means) < 0


def test_opposites() -> None:
    image = np.random.default_rng(0).random((1, 1, 8, 8))
    means = np.concatenate([image, 1 - image])
    assert pearson_selectivity(image, np.array([0]), means) == pytest.approx(2.0)
    assert pearson_selectivity(image, np.array([1]), means) == pytest.approx(-2.0)
    assert structural_similarity(image, np.array([1]), means) < 0


def test_a_constant_image_resembles_nothing() -> None:
    _, _, means = drawn(1)
    blank = np.full((1, *means.shape[1:]), 0.5)
    assert pearson_selectivity(blank, np.array([2]), means) == 0.0
    assert np.isfinite(structural_similarity(blank, np.array([2]), means))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c, m: (i[:2], c, m), "classes: expected whole numbers of shape"),
        (lambda i, c, m: (i[:, :, 1:], c, m), "images: expected"),
        (lambda i, c, m: (i[:0], c[:0], m), "images: expected"),
        (lambda i, c, m: (np.where(i == i.max(), np.nan, i), c, m), "images: expected numbers, found NaN"),
        (lambda i, c, m: (i, c / 1, m), "classes: expected whole numbers"),
        (lambda i, c, m: (i, c + 4, m), "classes: expected 0..3"),
        (lambda i, c, m: (i, c - 5, m), "classes: expected 0..3"),
    ],
)
def test_refuses(change: object, message: str) -> None:
    for measure in (pearson_selectivity, structural_similarity):
        with pytest.raises(InputError, match=message):
            measure(*change(*drawn(0)))  # type: ignore[operator]


def test_ssim_needs_images_of_seven_by_seven() -> None:
    images, classes, means = drawn(0)
    with pytest.raises(InputError, match="at least 7x7 pixels"):
        structural_similarity(images[..., :6], classes, means[..., :6])
    with pytest.raises(InputError, match="at least 7x7"):
        structural_similarity(images.reshape(5, -1), classes, means.reshape(4, -1))
    assert structural_similarity(images[:, :, :7, :7], classes, means[:, :, :7, :7]) <= 1


def test_selectivity_needs_something_to_tell_apart() -> None:
    images, _, means = drawn(0)
    with pytest.raises(InputError, match="at least two classes"):
        pearson_selectivity(images[:1], np.array([0]), means[:1])
