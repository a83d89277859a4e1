"""Similarity of inversions to the training data: images (K, ...) in 0..1 against class means (classes, ...)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import images_of, numbers, whole_numbers

SSIM_WINDOW = 7
"""Side of the window of structural similarity, in pixels."""


def pearson_selectivities(images: npt.ArrayLike, classes: npt.ArrayLike, class_means: npt.ArrayLike) -> FloatArray:
    """Each inversion's r(own class mean) - max r(another class's mean), (K,), -2..2; r is Pearson's correlation.

    Of these measures it agrees best with an independent evaluator. The correlation of a constant image is 0.
    """
    pictures, inverted, means = _checked(images, classes, class_means)
    if len(means) < 2:
        raise InputError("class_means: expected at least two classes")
    correlation = standardised(pictures) @ standardised(means).T
    rows = np.arange(len(inverted))
    own_correlation = correlation[rows, inverted]
    correlation[rows, inverted] = -np.inf
    return np.asarray(own_correlation - correlation.max(axis=1))


def pearson_selectivity(images: npt.ArrayLike, classes: npt.ArrayLike, class_means: npt.ArrayLike) -> float:
    """Mean of `pearson_selectivities` over the inversions, -2..2."""
    return float(pearson_selectivities(images, classes, class_means).mean())


def structural_similarities(images: npt.ArrayLike, classes: npt.ArrayLike, class_means: npt.ArrayLike) -> FloatArray:
    """SSIM between each inversion and its class mean, both rescaled to 0..1: (K,), -1..1.

    Windows of 7x7, unweighted, sample covariance, K1 = 0.01, K2 = 0.03, without borders. Images (K, C, H, W) of at
    least 7x7. Source: Wang et al. 2004; equals scikit-image's `structural_similarity` with its defaults.
    """
    from scipy.ndimage import uniform_filter

    pictures, inverted, means = _checked(images, classes, class_means)
    if pictures.ndim != 4 or min(pictures.shape[2:]) < SSIM_WINDOW:
        raise InputError(
            f"images: expected (K, C, H, W) of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {pictures.shape}"
        )
    first, second = _stretched(pictures), _stretched(means)[inverted]
    size = (1, 1, SSIM_WINDOW, SSIM_WINDOW)
    sample = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    mean_1, mean_2 = uniform_filter(first, size), uniform_filter(second, size)
    variance_1 = sample * (uniform_filter(first * first, size) - mean_1**2)
    variance_2 = sample * (uniform_filter(second * second, size) - mean_2**2)
    covariance = sample * (uniform_filter(first * second, size) - mean_1 * mean_2)
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)) / (
        (mean_1**2 + mean_2**2 + c1) * (variance_1 + variance_2 + c2)
    )
    border = SSIM_WINDOW // 2
    return np.asarray(similarity[:, :, border:-border, border:-border].mean(axis=(1, 2, 3)))


def structural_similarity(images: npt.ArrayLike, classes: npt.ArrayLike, class_means: npt.ArrayLike) -> float:
    """Mean of `structural_similarities` over the inversions, -1..1."""
    return float(structural_similarities(images, classes, class_means).mean())


def _stretched(images: FloatArray) -> FloatArray:
    axes = tuple(range(1, images.ndim))
    low = images.min(axis=axes, keepdims=True)
    span = images.max(axis=axes, keepdims=True) - low
    return np.divide(images - low, span, out=np.zeros_like(images), where=span > 0)


def _checked(
    images: npt.ArrayLike, classes: npt.ArrayLike, class_means: npt.ArrayLike
) -> tuple[FloatArray, IntArray, FloatArray]:
    means = images_of(class_means, None, "class_means")
    pictures = images_of(images, means.shape[1:], "images")
    return pictures, whole_numbers(classes, (len(pictures),), len(means) - 1, "classes"), means


MAX_VALUES_AT_ONCE = 2**22
"""Number of values of one block: 32 MiB of float64."""


def standardised(images: FloatArray) -> FloatArray:
    """Images (K, ...) as rows (K, D) with mean 0 and norm 1; a constant image becomes a row of zeros."""
    flat = images.reshape(len(images), -1)
    centred: FloatArray = flat - flat.mean(axis=1, keepdims=True)
    norm: FloatArray = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-12)


def correlation_blocks(images: npt.ArrayLike, samples: npt.ArrayLike) -> Iterator[tuple[slice, FloatArray]]:
    """Blocks of rows of `samples` (N, ...) and their correlations with `images` (K, ...): (K, rows), -1..1.

    `samples` may have any numeric dtype, such as uint8; they are converted to float64 block by block.
    """
    rows = standardised(images_of(images, None, "images"))
    array = np.asarray(samples)
    shape = np.shape(images)[1:]
    if array.ndim < 2 or len(array) == 0 or array.shape[1:] != shape:
        raise InputError(f"samples: expected (N, {', '.join(map(str, shape))}), N of 1 or more, found {array.shape}")
    size = max(1, MAX_VALUES_AT_ONCE // (rows.shape[0] + 2 * rows.shape[1]))
    for start in range(0, len(array), size):
        block = slice(start, min(start + size, len(array)))
        yield block, rows @ standardised(numbers(array[block], "samples")).T


def spike_density(spikes: npt.ArrayLike) -> float:
    """Fraction of the bins of spikes (T, K, ...) that contain a spike, 0..1."""
    bins = np.asarray(spikes)
    if bins.size == 0:
        raise InputError(f"spikes: expected at least one bin, found {bins.shape}")
    return float(np.count_nonzero(bins) / bins.size)
