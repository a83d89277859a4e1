"""Places a bright object on a dark background in an image of another size.

    filled     the object is as high as the image, and at most two pixels narrower than it (8 x 8 digits)
    centred    the longer side of the object takes 20 of 28 parts of the shorter side of the image (MNIST)

The object keeps its proportions unless it would be too wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FRAMES = ("filled", "centred")
SHARE = 20 / 28
"""Share of the image that a centred object takes."""
VISIBLE = 0.1
"""Smallest value of a pixel of the object, as a share of the largest."""


def framed(picture: npt.NDArray[Any], layout: str, height: int, width: int) -> npt.NDArray[np.float32]:
    """The object in `picture` (h, w), 0..1, in an image (height, width); an empty picture stays empty."""
    if not picture.any():
        return np.zeros((height, width), np.float32)
    inner = cropped(picture)
    if layout == "filled":
        scale = height / inner.shape[0]
        most = max(width - 2, 1)
    else:
        scale = SHARE * min(height, width) / max(inner.shape)
        most = width
    size = (_side(inner.shape[0] * scale, height), _side(inner.shape[1] * scale, most))
    result = np.zeros((height, width), np.float32)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    result[top : top + size[0], left : left + size[1]] = scaled(inner, *size)
    return result


def cropped(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The smallest rectangle of `picture` (h, w) with all visible pixels; see `VISIBLE`."""
    visible = picture > VISIBLE * picture.max()
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scaled(picture: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[np.float32]:
    """`picture` (h, w) in 0..1 with another size: means over boxes where it shrinks, interpolated where it grows."""
    from PIL import Image

    image = Image.fromarray(np.asarray(picture, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32).clip(0, 1)


def _side(length: float, most: int) -> int:
    return min(max(round(length), 1), most)
