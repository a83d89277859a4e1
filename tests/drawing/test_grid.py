"""A grid of images: each where its row and its column say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.drawing import image_grid
from bl_neuro.drawing.pixels import colours, stretched

RNG = np.random.default_rng(0)
ROWS = {"means": RNG.random((3, 1, 4, 5)), "v1 on loihi": RNG.random((3, 1, 4, 5))}
NAMES = ["a", "b", "c"]


def test_every_image_stands_in_its_row_and_column(figures: list[Any]) -> None:
    picture = image_grid(ROWS, NAMES, columns=2)
    (figure,) = figures
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    expected = [colours(stretched(images[place])) for place in range(3) for images in ROWS.values()]
    assert all(np.array_equal(one, other) for one, other in zip(drawn, expected, strict=True))
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["a", "means", "v1 on loihi", "b", "c", "means", "v1 on loihi"]
    above, beside, below = figure.axes[0], figure.axes[2], figure.axes[1]
    assert beside.get_position().x0 > above.get_position().x0
    assert below.get_position().y0 < above.get_position().y0
    assert picture.alt == "Grid of 6 images, a column for each of: a, b, c, a row for each of: means, v1 on loihi."


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ({}, NAMES, "rows: expected images of one shape, found no row"),
        ({**ROWS, "other": np.zeros((3, 1, 2, 2))}, NAMES, "rows: expected images of one shape"),
        (ROWS, ["a"], "names: expected 3, found 1"),
        ({"": np.zeros((3, 4))}, NAMES, "images of ''"),
        ({"": np.zeros((2001, 1, 1, 1))}, ["x"] * 2001, "expected at most 2000 images, found 2001"),
    ],
)
def test_refuses(rows: Any, names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_grid(rows, names)
