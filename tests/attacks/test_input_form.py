"""A few frames in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.attacks.input_form import TimeSegments


def test_frames_follow_one_another() -> None:
    form = TimeSegments(count=3, density=0.5)
    shape = form.pattern_shape((2, 4, 5))
    assert shape == (6, 4, 5)
    patterns = np.random.default_rng(0).random((7, *shape)) < 0.3
    spikes = form.spikes(patterns.astype(float), 10).numpy()
    frames = patterns.reshape(7, 3, 2, 4, 5)
    assert spikes.shape == (10, 7, 2, 4, 5)
    for step, place in enumerate([0, 0, 0, 0, 1, 1, 1, 2, 2, 2]):
        assert (spikes[step] == frames[:, place]).all()
    np.testing.assert_array_equal(form.rates(patterns.astype(float), 10), 0.5 * spikes)


def test_one_frame_stands() -> None:
    spikes = TimeSegments(count=1).spikes(np.eye(4).reshape(1, 1, 4, 4), 6).numpy()
    assert (spikes == np.eye(4)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count: expected a whole number of at least 1"),
        ({"count": 1.5}, "count"),
        ({"density": 0.0}, "density: expected above 0"),
        ({"density": 1.1}, "density"),
    ],
)
def test_refuses_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TimeSegments(**changes)


def test_refuses_inputs_that_are_not_images() -> None:
    with pytest.raises(InputError, match=r"expected inputs that are images .*, found shape \(12,\)"):
        TimeSegments().pattern_shape((12,))
