"""Event files are read, and their events counted in frames."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro import DataError
from bl_neuro.data import recordings as event_file
from bl_neuro.data.recordings import (
    EVENT,
    Framing,
    Sensor,
    parse_events,
    read_event_array,
    read_events,
    to_frames,
)

SMALL = Sensor(34, 34, most_seconds=1)
LARGE = Sensor(128, 128, most_seconds=60)
EVENTS = [(3, 4, 10, 0), (33, 0, 20, 1), (0, 33, 8_000, 1)]


def columns(events: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(int(event[name]) for name in ("x", "y", "t", "p")) for event in events]


def test_the_events_of_a_file(tmp_path: Path, files: Any) -> None:
    (tmp_path / "a.bin").write_bytes(files.events(EVENTS))
    events = read_events(tmp_path / "a.bin", SMALL)
    assert events.dtype == EVENT
    assert columns(events) == EVENTS


def test_events_are_put_in_order_of_time(files: Any) -> None:
    assert columns(parse_events(files.events(EVENTS[::-1]), SMALL, "")) == EVENTS


def test_row_240_is_an_overflow_of_the_clock(files: Any) -> None:
    content = files.events([EVENTS[0], (0, 240, 0, 0), *EVENTS[1:], (9, 240, 5, 1), (1, 1, 7, 0)])
    times = [event[2] for event in columns(parse_events(content, SMALL, ""))]
    assert times == [10, 20 + 8192, 8_000 + 8192, 7 + 2 * 8192]


events = st.tuples(
    st.integers(0, 127), st.integers(0, 127) | st.just(240), st.integers(0, 2**23 - 1), st.integers(0, 1)
)


@given(st.lists(events, min_size=1, max_size=40))
def test_the_same_as_tonics_reader(content: list[tuple[int, int, int, int]]) -> None:
    tonic_io = pytest.importorskip("tonic.io", reason="tonic is not installed")
    if all(event[1] == 240 for event in content):
        content = [*content, (1, 1, 1, 1)]
    content.sort(key=lambda event: event[2])  # a step back by half a turn of the clock would be refused
    raw = b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in content)
    expected = tonic_io.read_mnist_file(io.BytesIO(raw), dtype=EVENT, is_stream=True)
    events = parse_events(raw, Sensor(128, 128, most_seconds=10**6), "")
    assert columns(events) == sorted(columns(expected), key=lambda event: event[2])


@given(st.binary(max_size=60))
def test_any_bytes_give_events_or_a_typed_error(content: bytes) -> None:
    try:
        events = parse_events(content, SMALL, "somewhere")
    except DataError:
        return
    assert 1 <= len(events) <= len(content) // 5
    assert events["x"].min() >= 0
    assert events["x"].max() < 34
    assert events["y"].max() < 34
    assert set(events["p"].tolist()) <= {0, 1}
    assert (np.diff(events["t"]) >= 0).all()
    assert events["t"][-1] - events["t"][0] <= 1_000_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected events of 5 bytes, found 0 bytes"),
        ([(34, 0, 0, 0)], r"expected events on a sensor of 34 x 34, found 1 events outside it, the first at \(34, 0\)"),
        ([(0, 34, 0, 0), (0, 99, 0, 0)], r"found 2 events outside it, the first at \(0, 34\)"),
        ([(0, 240, 0, 0)], "expected events, found none"),
        ([(0, 0, 0, 0), (0, 0, 2_000_000, 0)], "expected at most 1 s, found 2 s"),
        ([(0, 0, 0, 0)] + 200 * [(0, 240, 0, 0)] + [(0, 0, 0, 0)], "expected at most 1 s, found 2 s"),
    ],
)
def test_invalid_recordings_are_refused(tmp_path: Path, files: Any, content: list[Any], message: str) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(files.events(content))
    with pytest.raises(DataError, match=rf"b\.bin: .*{message}"):
        read_events(path, SMALL)


def test_cut_short_and_too_large(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.bin"
    path.write_bytes(files.events(EVENTS)[:-2])
    with pytest.raises(DataError, match="expected events of 5 bytes, found 13 bytes"):
        read_events(path, SMALL)
    monkeypatch.setattr(event_file, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="expected at most 10 bytes, found 13"):
        read_events(path, SMALL)


def test_arrays_as_tonic_keeps_them(tmp_path: Path) -> None:
    np.save(tmp_path / "3.npy", np.array([[5, 6, 1, 0], [127, 0, 0, 1450]], dtype=np.int32))
    assert columns(read_event_array(tmp_path / "3.npy", LARGE)) == [(5, 6, 0, 1), (127, 0, 1_450_000, 0)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 3)), r"expected events \(n, 4\), found \(3, 3\)"),
        (np.zeros((0, 4)), r"expected events \(n, 4\), found \(0, 4\)"),
        (np.full((2, 4), np.nan), "expected finite coordinates and times, found NaN or infinity"),
        (np.full((2, 4), 2**40), "expected finite coordinates and times, found NaN or infinity"),
        (np.array([[0, 0, 2, 0]]), r"expected polarities 0 and 1, found 2\.\.2"),
        (
            np.array([[-1, 0, 1, 0]]),
            r"expected events on a sensor of 128 x 128, found 1 events outside it, the first at \(-1, 0\)",
        ),
        (np.array([[0, 0, 1, 0], [0, 0, 1, 90_000]]), "expected at most 60 s, found 90 s"),
        (np.array([[None] * 4]), "expected an array of"),
    ],
)
def test_invalid_arrays_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    np.save(tmp_path / "0.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match=rf"0\.npy: {message}"):
        read_event_array(tmp_path / "0.npy", LARGE)


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
    assert frames.dtype == np.uint8
    assert frames.shape == (2, 1, 5, 6)
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


def test_no_event_is_noise_within_the_first_window() -> None:
    """tonic's Denoise treats all neighbours as seen at time 0."""
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


recorded_events = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(-20, 400), st.integers(0, 1)), min_size=1, max_size=40
)


@given(recorded_events, st.integers(1, 60), st.integers(1, 90), st.booleans())
def test_the_frames_are_those_of_tonic(content: list[Any], denoise_us: int, window_us: int, merged: bool) -> None:
    transforms = pytest.importorskip("tonic.transforms", reason="tonic is not installed")
    events = recorded(*sorted(content, key=lambda event: event[2]), start=0)
    kept = transforms.MergePolarities()(events.copy()) if merged else events.copy()
    kept = transforms.Denoise(filter_time=denoise_us)(kept)
    frames = to_frames(events, framing(merged, denoise_us, window_us))
    if not len(kept):
        assert frames.shape == (0, 1, 5, 6)
        return
    to_frame = transforms.ToFrame(sensor_size=(6, 5, 1 if merged else 2), time_window=window_us)
    assert np.array_equal(frames, to_frame(kept)[:, :1] != 0)


@pytest.mark.slow
def test_the_number_of_events_is_bounded_and_a_full_recording_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 128, (2**21 + 1, 4), dtype=np.int32)
    values[:, 2], values[:, 3] = values[:, 2] % 2, np.sort(rng.integers(0, 59_000, len(values)))
    np.save(tmp_path / "0.npy", values)
    with pytest.raises(DataError, match="expected at most 2097152 events, found 2097153; cut the recording"):
        read_event_array(tmp_path / "0.npy", LARGE)
    np.save(tmp_path / "0.npy", values[1:])
    assert to_frames(read_event_array(tmp_path / "0.npy", LARGE), Framing(LARGE, 100_000, 50_000, True)).any()


def clock(times: np.ndarray) -> bytes:
    """Events at these microseconds as the 23 bits of the clock have them."""
    rows = [(5, 5, int(time) % 2**23, 0) for time in times]
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in rows)


@pytest.mark.parametrize(("start", "end"), [(0, 20_000_000), (8_000_000, 8_500_000), (0, 8_388_608 + 3_000_000)])
def test_a_clock_that_starts_anew_is_refused(start: int, end: int) -> None:
    """Put in order of time, its turns would lie on top of each other."""
    times = np.arange(start, end, 20_000)
    with pytest.raises(DataError, match=r"a\.bs2: expected times in order, found \d+ us after 83\d+ us: the clock, "):
        parse_events(clock(times), LARGE, "a.bs2")
    within_a_turn = times[times < 2**23]
    assert columns(parse_events(clock(within_a_turn), LARGE, ""))[-1][2] == within_a_turn[-1]


@pytest.mark.parametrize("column", range(4))
def test_fractions_in_arrays_are_refused(column: int, tmp_path: Path) -> None:
    values = np.array([[5, 6, 1, 0], [127, 0, 0, 1450]], dtype=np.float64)
    np.save(tmp_path / "0.npy", values)
    assert columns(read_event_array(tmp_path / "0.npy", LARGE)) == [(5, 6, 0, 1), (127, 0, 1_450_000, 0)]
    values[1, column] -= 0.5
    np.save(tmp_path / "0.npy", values)
    with pytest.raises(DataError, match=r"0\.npy: expected whole numbers .*, found 1 events with fractions, the first"):
        read_event_array(tmp_path / "0.npy", LARGE)
