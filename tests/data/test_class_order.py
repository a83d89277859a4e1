"""The samples of some classes, renumbered."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.data import Dataset, only_classes


def people() -> Dataset:
    labels = np.array([0, 1, 2, 3, 2, 0])
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    return Dataset("people", "made up", pixels, labels, ("ann", "bob", "cy", "dee"), labels == 0)


def test_only_some_classes_are_left_and_keep_their_names() -> None:
    some = only_classes(people(), [2, 0])
    assert (some.class_names, some.classes) == (("cy", "ann"), 2)
    assert some.labels.tolist() == [1, 0, 0, 1]
    assert some.pixels.ravel().tolist() == [0, 2, 4, 5]
    assert some.held_out is not None
    assert some.held_out.tolist() == [True, False, False, True]
    assert some.completeness == "2 of 4 classes of all"


@pytest.mark.parametrize("classes", [[1], [1, 1], [0, 4], [-1, 0]])
def test_classes_that_cannot_be_chosen(classes: list[int]) -> None:
    with pytest.raises(InputError, match=r"classes: expected at least two different classes in 0\.\.3"):
        only_classes(people(), classes)
