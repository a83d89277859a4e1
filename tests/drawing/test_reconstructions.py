"""The grid of reconstructions: every picture in its place, and the alternative text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.drawing import reconstruction_grid
from bl_neuro.drawing.pixels import colours, stretched

RNG = np.random.default_rng(0)
MEANS = RNG.random((4, 1, 6, 5))
IMAGES, CLASSES = RNG.random((5, 1, 6, 5)), np.array([2, 0, 0, 3, 2])
NAMES = ["zero", "one", "two", "three with a long name"]


def texts(figure: Any) -> list[str]:
    """Every text of a figure that is not empty."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def shown(figure: Any) -> list[Any]:
    """The picture of each place, by columns, None where there is none."""
    return [axes.images[0].get_array() if axes.images else None for axes in figure.axes]


def test_every_picture_is_in_its_place(figures: list[Any]) -> None:
    made = reconstruction_grid(MEANS, {"v1": (IMAGES, CLASSES)})
    places = shown(figures[0])
    assert len(places) == 8  # class mean and inversion of class 0, then of class 1, ...
    for label, first in enumerate([1, None, 0, 3]):
        assert np.array_equal(places[2 * label], colours(stretched(MEANS[label])))
        below = places[2 * label + 1]
        if first is None:
            assert below is None
        else:
            assert np.array_equal(below, colours(stretched(IMAGES[first])))
    assert made.alt == (
        "Grid of pictures, a column for each of 4 classes (0, 1, 2, 3): the class means; reconstructions by v1."
    )


def test_columns_and_rows_line_up(figures: list[Any]) -> None:
    reconstruction_grid(MEANS, {"v1": (IMAGES, CLASSES), "v2": (IMAGES, CLASSES)}, columns=3)
    boxes = [axes.get_position() for axes in figures[0].axes]
    assert len({round(box.x0, 6) for box in boxes}) == 3
    assert len({round(box.y0, 6) for box in boxes}) == 6  # two blocks of three rows
    assert min(box.y0 for box in boxes) > 0
    assert max(box.y1 for box in boxes) < 1
    assert max(box.x1 for box in boxes) < 1
    width, height = figures[0].get_size_inches()
    assert boxes[0].height * height / (boxes[0].width * width) == pytest.approx(6 / 5)


def test_the_answer_of_the_evaluator_is_below_each_picture(figures: list[Any]) -> None:
    answers = np.array([2, 3, 0, 3, 0])
    made = reconstruction_grid(MEANS, {"v1": (IMAGES, CLASSES)}, NAMES, answers={"v1": answers})
    written = texts(figures[0])
    assert written.count("→ three with…") == 1  # of the inversion of class zero
    assert written.count("two") == 2  # above the column and below the picture
    assert written.count("none") == 1
    assert "2 of 3 recognised by the evaluator" in made.alt


def test_flat_pictures_photographs_and_events(figures: list[Any]) -> None:
    reconstruction_grid(MEANS[:, 0], {"v1": (IMAGES[:, 0], CLASSES)}, ink=False)
    assert np.array_equal(shown(figures[0])[0], colours(stretched(MEANS[0]), ink=False))
    two = np.concatenate([MEANS, MEANS], axis=1)
    reconstruction_grid(two, {"v1": (np.concatenate([IMAGES, IMAGES], axis=1), CLASSES)})
    assert np.array_equal(shown(figures[1])[0], colours(stretched(two[0])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_means": MEANS[0, 0]}, "class_means: expected"),
        ({"class_names": ["a"]}, "class_names: expected 4 names, one per class, found 1"),
        ({"inversions": {"v1": (IMAGES[:, :, 1:], CLASSES)}}, "inversions 'v1': expected"),
        ({"inversions": {"v1": (IMAGES, CLASSES + 1)}}, r"classes of 'v1': expected 0\.\.3"),
        ({"inversions": {"v1": (IMAGES, CLASSES[1:])}}, "classes of 'v1': expected whole numbers"),
        ({"inversions": {"class mean": (IMAGES, CLASSES)}}, "the name 'class mean' is reserved"),
        ({"answers": {"v2": CLASSES}}, "answers: expected names that occur in inversions"),
        ({"answers": {"v1": CLASSES + 1}}, r"answers for 'v1': expected 0\.\.3"),
        ({"columns": 0}, "columns: expected"),
        ({"inversions": {str(k): (IMAGES, CLASSES) for k in range(500)}}, "at most 2000 pictures"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"class_means": MEANS, "inversions": {"v1": (IMAGES, CLASSES)}, **changes}
    with pytest.raises(InputError, match=message):
        reconstruction_grid(**arguments)
