"""Values as colours."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.drawing.pixels import colours, stretched, with_channels


def one(*channels: float) -> list[int]:
    """The colour of one pixel."""
    return colours(np.array(channels, dtype=float).reshape(-1, 1, 1))[0, 0].tolist()


def test_one_channel_is_ink_or_light() -> None:
    assert one(0.0) == [255, 255, 255]
    assert one(1.0) == [0x15, 0x18, 0x1C]
    assert colours(np.array([[[0.0, 1.0, 0.5, 7.0]]]), ink=False)[0].tolist() == [
        [0] * 3,
        [255] * 3,
        [128] * 3,
        [255] * 3,
    ]


def test_events_are_blue_and_orange() -> None:
    assert one(0, 0) == [255, 255, 255]
    assert one(1, 0) == [0xC4, 0x50, 0x0A]  # OFF
    assert one(0, 1) == [0x0B, 0x5C, 0x9E]  # ON
    assert max(one(1, 1)) < 40


def test_three_channels_are_light() -> None:
    assert one(1.0, 0.0, 0.5) == [255, 0, 128]


def test_channels_move_last() -> None:
    values = np.random.default_rng(0).random((4, 3, 5, 6))
    assert colours(values).shape == (4, 5, 6, 3)
    assert colours(values[:, :1]).shape == (4, 5, 6, 3)
    assert colours(values[:, :2]).shape == (4, 5, 6, 3)


def test_each_picture_is_stretched_by_itself() -> None:
    values = np.array([[[[0.2, 0.4]]], [[[0.0, 0.1]]], [[[0.3, 0.3]]]])
    assert stretched(values).tolist() == [[[[0, 1]]], [[[0, 1]]], [[[0, 0]]]]


def test_pictures_with_and_without_channels() -> None:
    assert with_channels(np.zeros((2, 5, 6)), 1, "x").shape == (2, 1, 5, 6)
    assert with_channels(np.zeros((2, 3, 5, 6)), 1, "x").shape == (2, 3, 5, 6)
    assert with_channels(np.zeros((7, 2, 5, 6)), 2, "x").shape == (7, 2, 1, 5, 6)
    for shape in ((2, 4, 5, 6), (0, 5, 6), (5, 6), (1, 2, 1, 5, 6)):
        with pytest.raises(InputError, match=r"x: expected \(K, H, W\) or \(K, C, H, W\), C of 1 to 3, found"):
            with_channels(np.zeros(shape), 1, "x")
