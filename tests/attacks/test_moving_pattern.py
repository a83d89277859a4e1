"""Events of moving pictures: their places, times and numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import shift

from bl_neuro import InputError
from bl_neuro.attacks.moving_pattern import AT_ONCE, SACCADES, MovingPattern

RIGHT = MovingPattern(path=((0, 0), (4, 0)))


def bar(column: int, size: int = 9) -> np.ndarray[Any, Any]:
    """A lit column, (1, 1, size, size)."""
    picture = np.zeros((1, 1, size, size))
    picture[..., column] = 1
    return picture


def test_events_come_along_the_edge_that_lights_up() -> None:
    spikes = RIGHT.spikes(bar(4), 20)[:, 0, 0].numpy()
    columns = np.flatnonzero(spikes.any(axis=(0, 1)))
    assert columns.tolist() == [3, 4, 5, 6]  # from 2 to 6, less where it began
    first = [int(spikes[:, :, column].any(axis=1).argmax()) for column in columns]
    assert first == sorted(first)
    assert not MovingPattern(path=((0, 0), (0, 4))).spikes(bar(4), 20).numpy()[:, 0, 0, 4].any()  # along itself


def test_uniform_or_static_pictures_have_no_events() -> None:
    inside = MovingPattern().spikes(np.ones((2, 1, 34, 34)), 100).numpy()[..., 9:-9, 9:-9]
    assert not inside.any()
    assert not MovingPattern(path=((0, 0), (0, 0))).spikes(bar(4), 20).numpy().any()


def test_less_contrast_takes_more_events() -> None:
    counts = [
        int(dataclasses.replace(RIGHT, contrast=contrast).spikes(bar(4), 100).sum()) for contrast in (0.05, 0.2, 0.6)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] > 0


@pytest.mark.parametrize("polarities", [1, 2])
def test_is_the_threshold_model_of_an_event_camera(polarities: int) -> None:
    """Beside a plain loop over pixels, with SciPy's interpolation."""
    form = MovingPattern(contrast=0.2, polarities=polarities)
    pictures = np.random.default_rng(0).random((AT_ONCE + 3, 1, 12, 10))
    expected = np.zeros((30, len(pictures), 2, 12, 10), dtype=np.uint8)
    for sample, picture in enumerate(pictures[:, 0]):
        seen = [shift(np.pad(picture, 9), (y, x), order=1)[9:-9, 9:-9] for x, y in form.displacements(30)]
        last = seen[0].copy()
        for step, now in enumerate(seen[1:]):
            expected[step, sample] = now - last > 0.2, last - now > 0.2
            last[np.abs(now - last) > 0.2] = now[np.abs(now - last) > 0.2]
    spikes = form.spikes(pictures, 30).numpy()
    assert (spikes != expected[:, :, :polarities]).mean() < 1e-4  # single against double precision at the threshold


def test_runs_through_its_path_at_rest_at_each_corner() -> None:
    places = MovingPattern().displacements(99)
    corners = places[[0, 33, 66, 99]]
    np.testing.assert_allclose(corners - corners[0], SACCADES, atol=1e-9)
    np.testing.assert_allclose(places.min(axis=0), -places.max(axis=0))
    speed = np.abs(np.diff(places, axis=0)).sum(axis=1)
    assert speed[[0, 32, 33, 65, 66, 98]].max() < 0.1 * speed.max()


def test_rates_are_the_spikes() -> None:
    form = MovingPattern()
    pictures = np.random.default_rng(1).random((3, 1, 34, 34))
    rates = form.rates(pictures, 20)
    assert rates.shape == (20, 3, 1, 34, 34)
    assert (rates == form.spikes(pictures, 20).numpy()).all()
    np.testing.assert_allclose(form.images(pictures, 20), rates.mean(axis=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrast": 0.0}, "contrast: expected between 0 and 1"),
        ({"contrast": 1.0}, "contrast"),
        ({"contrast": float("nan")}, "contrast"),
        ({"polarities": 3}, "polarities: expected 1 or 2"),
        ({"path": ((0, 0),)}, "path: expected at least two points"),
        ({"path": ((0, 0), (1, float("inf")))}, "path"),
        ({"path": ((0, 0), (1,))}, "path"),
    ],
)
def test_refuses_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MovingPattern(**changes)


def test_refuses_inputs_that_are_not_images() -> None:
    with pytest.raises(InputError, match=r"expected inputs that are images \(C, H, W\), found shape \(12,\)"):
        MovingPattern().pattern_shape((12,))


@pytest.mark.parametrize(("polarities", "channels"), [(1, 2), (2, 1), (2, 3)])
def test_is_one_picture_for_all_polarities_of_the_inputs(polarities: int, channels: int) -> None:
    form = MovingPattern(polarities=polarities)
    assert form.pattern_shape((polarities, 34, 34)) == (1, 34, 34)
    with pytest.raises(InputError, match=f"expected inputs of {polarities} channels.*found inputs \\({channels}, 34"):
        form.pattern_shape((channels, 34, 34))
