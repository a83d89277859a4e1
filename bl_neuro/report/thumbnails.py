"""Inversions as small images: one per class, or all of a cell side by side in one image."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.pixels import Bytes, colours, stretched
from bl_neuro.drawing.style import data_uri, png

ACROSS, GAP, BETWEEN = 10, 1, 205
"""Number of images per row, pixels between two images, and their grey level."""
COLOURED = (2, 3)
"""Numbers of channels that are drawn in colour: polarities of events; red, green and blue."""
PHOTOGRAPH = 0.2
"""Median of class means from which images count as photographs, drawn with 1 as white."""


def is_ink(class_means: FloatArray) -> bool:
    """Whether images (N, C, H, W) are drawings on an empty background, to draw them as ink on paper."""
    return bool(class_means.shape[1] not in COLOURED and np.median(class_means) < PHOTOGRAPH)


def shown(images: FloatArray, ink: bool) -> Bytes:
    """Images (K, C, H, W) with stretched contrast, as greyscale (K, H, W) or RGB (K, H, W, 3) bytes.

    Three channels become RGB; otherwise the mean over channels becomes greyscale, which takes a third of the bytes.
    """
    values = stretched(images)
    if images.shape[1] in COLOURED:
        return colours(values)
    grey = values.mean(axis=1)
    return np.asarray(np.rint(255 * (1 - grey if ink else grey)), dtype=np.uint8)


def one_by_one(images: FloatArray, ink: bool) -> list[str]:
    """Each image as a data URI."""
    return [data_uri(png(image), "image/png") for image in shown(images, ink)]


def side_by_side(images: FloatArray, ink: bool) -> tuple[bytes, int, int]:
    """All images in rows of ten, separated by grey lines: PNG, with its width and height in pixels."""
    pictures = shown(images, ink)
    count, height, width, *colour = pictures.shape
    across = min(ACROSS, count)
    down = -(-count // across)
    sheet = np.full((down * (height + GAP) - GAP, across * (width + GAP) - GAP, *colour), BETWEEN, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // across * (height + GAP), place % across * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return png(sheet), sheet.shape[1], sheet.shape[0]
