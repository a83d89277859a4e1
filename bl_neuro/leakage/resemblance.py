"""How much inversions resemble the training data: images (K, ...) in 0..1 against class means (classes, ...)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError

SSIM_WINDOW = 7
"""Side of the window of structural similarity, in pixels."""


def pearson_selectivity(images: FloatArray, classes: IntArray, class_means: FloatArray) -> float:
    """Mean over inversions of r(own class mean) - max r(another class's mean), -2..2; r is Pearson's correlation.

    The best single predictor of what an independent judge says (DESIGN 9). A constant image correlates 0.
    """
    _check(images, classes, class_means)
    if len(class_means) < 2:
        raise InputError("class_means: expected at least two classes to tell apart")
    correlation = _standardised(images) @ _standardised(class_means).T
    rows = np.arange(len(classes))
    own = correlation[rows, classes]
    correlation[rows, classes] = -np.inf
    return float((own - correlation.max(axis=1)).mean())


def structural_similarity(images: FloatArray, classes: IntArray, class_means: FloatArray) -> float:
    """Mean SSIM between each inversion and its class mean, both stretched to 0..1; -1..1.

    Windows of 7x7, unweighted, sample covariance, K1 = 0.01, K2 = 0.03, borders left out. Images (K, C, H, W) of at
    least 7x7. Source: Wang et al. 2004; the same as scikit-image's `structural_similarity` with its defaults.
    """
    _check(images, classes, class_means)
    if images.ndim != 4 or min(images.shape[2:]) < SSIM_WINDOW:
        raise InputError(
            f"images: expected (K, C, H, W) of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {images.shape}"
        )
    first, second = _stretched(images), _stretched(class_means)[classes]
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
    return float(similarity[:, :, border : -border or None, border : -border or None].mean())


def _standardised(images: FloatArray) -> FloatArray:
    flat = images.reshape(len(images), -1)
    centred: FloatArray = flat - flat.mean(axis=1, keepdims=True)
    norm: FloatArray = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-12)


def _stretched(images: FloatArray) -> FloatArray:
    axes = tuple(range(1, images.ndim))
    low = images.min(axis=axes, keepdims=True)
    span = images.max(axis=axes, keepdims=True) - low
    return np.divide(images - low, span, out=np.zeros_like(images), where=span > 0)


def _check(images: FloatArray, classes: IntArray, class_means: FloatArray) -> None:
    if len(images) != len(classes) or images.shape[1:] != class_means.shape[1:] or len(classes) == 0:
        raise InputError(
            f"images: expected ({len(classes)}, {', '.join(map(str, class_means.shape[1:]))}), found {images.shape}"
        )
    if classes.min() < 0 or classes.max() >= len(class_means):
        raise InputError(f"classes: expected 0..{len(class_means) - 1}, found {classes.min()}..{classes.max()}")
