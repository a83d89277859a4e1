"""From events to frames: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.data.event_file import EVENT, Sensor
from bl_neuro.data.event_frames import Framing, to_frames

pytest.importorskip("tonic", reason="tonic is not installed")

SENSOR = Sensor(6, 5, most_seconds=1)


def framing(merged: bool = False, denoise_us: int = 1_000, window_us: int = 100) -> Framing:
    return Framing(SENSOR, denoise_us, window_us, merged)


def recorded(*events: tuple[int, int, int, int], start: int = 5_000) -> np.ndarray:
    """Events whose times count from `start`."""
    return np.array([(x, y, start + t, p) for x, y, t, p in events], dtype=EVENT)


PAIRS = recorded(
    # neighbours, so that none is noise; the first of the recording has no one before it and is dropped
    (1, 1, 0, 0), (2, 1, 10, 0), (1, 1, 20, 0),
    (3, 1, 120, 1), (2, 1, 130, 0), (2, 1, 140, 0),
    (5, 1, 215, 0), (4, 1, 230, 0),
)  # fmt: skip


def test_one_polarity_clamped_in_whole_windows() -> None:
    frames = to_frames(PAIRS.copy(), framing())
    assert framing().input_shape == (1, 5, 6)
    assert (frames.dtype, frames.shape) == (np.uint8, (2, 1, 5, 6))
    # windows of 100 us from the first event that is left, the second; the last window is not whole
    assert np.argwhere(frames).tolist() == [[0, 0, 1, 1], [0, 0, 1, 2], [1, 0, 1, 2]]


def test_both_polarities_merged() -> None:
    frames = to_frames(PAIRS.copy(), framing(merged=True))
    assert np.argwhere(frames).tolist() == [[0, 0, 1, 1], [0, 0, 1, 2], [1, 0, 1, 2], [1, 0, 1, 3]]


def test_the_other_polarity_counts_as_a_neighbour() -> None:
    events = recorded((1, 1, 0, 1), (2, 1, 10, 0), (2, 1, 60, 0), (1, 1, 70, 1), (2, 1, 120, 0))
    assert to_frames(events, framing()).sum() == 1


@pytest.mark.parametrize("merged", [False, True])
def test_noise_alone_leaves_no_frames(merged: bool) -> None:
    frames = to_frames(recorded((0, 0, 0, 0), (5, 4, 400, 0)), framing(merged))
    assert frames.shape == (0, 1, 5, 6)


def test_nothing_is_noise_while_the_recording_is_younger_than_what_noise_is() -> None:
    """tonic's Denoise takes all neighbours for just seen at time 0."""
    events = recorded((1, 1, 0, 0), (4, 4, 150, 0), (1, 1, 300, 0), start=0)
    assert to_frames(events, framing()).sum() == 2
    assert to_frames(recorded((1, 1, 0, 0), (4, 4, 150, 0), (1, 1, 300, 0)), framing()).sum() == 0


def test_events_far_apart_in_time_are_noise() -> None:
    events = recorded((1, 1, 0, 0), (2, 1, 2_000, 0), (1, 1, 4_000, 0))
    assert len(to_frames(events, framing())) == 0
    assert to_frames(events, framing(denoise_us=3_000)).sum() > 0


def test_a_pixel_that_spikes_very_often_is_still_one() -> None:
    times = np.arange(2**17) // 2**9
    events = np.zeros(len(times), dtype=EVENT)
    events["x"], events["t"] = np.arange(len(times)) % 2, times
    assert set(np.unique(to_frames(events, framing()))) == {0, 1}
