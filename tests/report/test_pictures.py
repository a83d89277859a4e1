"""Pictures are checked when they are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro.errors import ReportError
from bl_neuro.report import InversionPictures, Pictures


def made(**changes: Any) -> InversionPictures:
    spikes = np.zeros((4, 3, 2, 2), np.uint8)
    spikes[:2] = 1
    parts: dict[str, Any] = {"rates": spikes.mean(axis=0), "classes": np.array([0, 1, 1]), "spikes": spikes}
    return InversionPictures(**{**parts, **changes})


def test_the_first_of_a_class() -> None:
    rates = np.stack([np.full((2, 2), value) for value in (0.1, 0.2, 0.3)])
    pictures = made(rates=rates, spikes=None)
    first = pictures.first_of(1)
    assert first is not None
    assert first[0, 0] == 0.2
    assert pictures.first_of(2) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": np.zeros((3, 4))}, r"rates: expected floats of shape \(n, H, W\)"),
        ({"rates": np.zeros((3, 2, 2), np.int64)}, "rates: expected floats"),
        ({"rates": np.full((3, 2, 2), np.nan)}, "0..1"),
        ({"rates": np.full((3, 2, 2), 1.5)}, "0..1"),
        ({"rates": np.zeros((3, 2, 2))}, "mean of the spikes"),
        ({"classes": np.array([0, 1])}, "classes: expected 3 integers"),
        ({"classes": np.array([0.0, 1.0, 1.0])}, "classes: expected 3 integers"),
        ({"spikes": np.zeros((4, 2, 2, 2), np.uint8)}, r"expected uint8 of shape \(T, 3, ...\)"),
        ({"spikes": np.zeros((4, 3, 2, 2))}, "expected uint8"),
        ({"spikes": np.full((4, 3, 2, 2), 2, np.uint8)}, "expected 0 or 1, found 2"),
    ],
)
def test_impossible_inversions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        made(**changes)


def test_flat_spikes_and_two_channels_are_taken() -> None:
    whole = made()
    assert whole.spikes is not None
    made(spikes=whole.spikes.reshape(4, 3, 4))
    made(spikes=np.zeros((4, 3, 2, 2, 2), np.uint8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_means": np.zeros((2, 4))}, "class_means"),
        ({"class_names": ["a"]}, "class_names: expected 2, found 1"),
        ({"class_means": np.zeros((2, 3, 3))}, "expected pictures of shape"),
        ({"inversions": {"x": made(classes=np.array([0, 1, 2]))}}, r"expected classes 0\.\.1"),
    ],
)
def test_pictures_must_fit_each_other(changes: dict[str, Any], message: str) -> None:
    parts = {"class_means": np.zeros((2, 2, 2)), "class_names": ["a", "b"], "inversions": {"x": made()}}
    Pictures(**parts)  # type: ignore[arg-type]
    with pytest.raises(ReportError, match=message):
        Pictures(**{**parts, **changes})
