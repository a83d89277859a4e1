"""Inversions as small pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bl_neuro.report import thumbnails


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_each_picture_goes_from_its_least_to_its_greatest_value() -> None:
    images = np.array([[[[0.0, 0.5], [0.1, 0.0]]], [[[0.5, 0.5], [0.5, 0.5]]]])
    np.testing.assert_array_equal(thumbnails.shown(images, True), [[[255, 0], [204, 255]], [[255, 255], [255, 255]]])
    np.testing.assert_array_equal(thumbnails.shown(images, False), [[[0, 255], [51, 0]], [[0, 0], [0, 0]]])


def test_pictures_lie_side_by_side_in_rows_of_ten() -> None:
    images = np.zeros((12, 1, 3, 2))
    images[11, 0, 1, 1] = 1.0
    content, width, height = thumbnails.side_by_side(images, True)
    sheet = read(content)
    assert sheet.shape == (height, width) == (3 + 1 + 3, 10 * 3 - 1)
    assert sheet[4 + 1, 3 + 1] == 0
    assert (sheet[3] == thumbnails.BETWEEN).all()
    assert (sheet[4:, 6:] == thumbnails.BETWEEN).all()  # places of no picture


def test_events_and_colours_stay_colours() -> None:
    for channels in (2, 3):
        images = np.random.default_rng(0).random((1, channels, 4, 4))
        [uri] = thumbnails.one_by_one(images, False)
        assert read(base64.b64decode(uri.partition(",")[2])).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("channels", "level", "ink"), [(1, 0.0, True), (1, 0.5, False), (2, 0.0, False), (5, 0.1, True)]
)
def test_ink_depends_on_channels_and_level(channels: int, level: float, ink: bool) -> None:
    assert thumbnails.is_ink(np.full((10, channels, 4, 4), level)) is ink
