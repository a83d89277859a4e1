"""N-MNIST and the gestures, from small files in their formats."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bl_neuro import DataError
from bl_neuro.data import load_dataset, official_split
from bl_neuro.data import recordings as event_file
from bl_neuro.data.dvs_gesture import GESTURES
from bl_neuro.data.recordings import (
    EVENT,
    Framing,
    Sensor,
    cached_frames,
    parse_events,
    read_event_array,
    read_events,
    to_frames,
)
from bl_neuro.files import cache_folder

pytest.importorskip("tonic", reason="tonic is not installed")


def test_nmnist_in_its_folders(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path, train=12, test=3)
    progress: list[tuple[int, int]] = []
    data = load_dataset(
        "nmnist", tmp_path, cache=tmp_path / "cache", progress=lambda done, total: progress.append((done, total))
    )
    assert progress == [(done, 15) for done in range(1, 16)]
    assert (data.input_shape, data.dt_s) == ((1, 34, 34), 0.003)
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 0, 1, 2]
    assert data.held_out.tolist() == [False] * 12 + [True] * 3
    assert data.completeness == "subset: 15 of 70,000"
    assert data.steps == 13  # the events left after denoising span 39 ms
    first = data.frames_at(np.array([0]))[0, 0, 0]
    assert np.argwhere(first).tolist() == [[row, column] for row in (0, 1) for column in range(3)]
    assert official_split(data, 0).sizes() == {"target": 6, "evaluator": 6, "test": 3}


def test_frames_are_kept_until_a_recording_changes(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path)
    made: list[int] = []

    def load() -> Any:
        return load_dataset(
            "nmnist", tmp_path, cache=tmp_path / "cache", progress=lambda done, total: made.append(done)
        )

    first, again = load(), load()
    assert np.array_equal(first.packed, again.packed)
    assert len(made) == 15
    (tmp_path / "NMNIST/Train/0/00001.bin").write_bytes(files.events(files.moving_dot(20, 34)))
    assert not np.array_equal(load().packed[0], first.packed[0])
    assert len(made) == 30


def test_shorter_recordings_end_in_empty_frames(tmp_path: Path, files: Any) -> None:
    for name, steps in (("0/00001.bin", 60), ("1/00002.bin", 30)):
        path = tmp_path / "NMNIST/Train" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(files.events(files.moving_dot(0, 34, steps=steps)))
    data = load_dataset("nmnist", tmp_path)
    lively = data.frames_at(slice(None)).any(axis=(2, 3, 4))
    assert data.held_out is None
    assert lively.shape == (2, 19)
    assert lively.sum(axis=1).tolist() == [19, 9]


def test_nmnist_missing_or_damaged(tmp_path: Path, files: Any) -> None:
    with pytest.raises(DataError, match=r"nmnist: looked in .*NMNIST, found no such folder\. Get it from https://"):
        load_dataset("nmnist", tmp_path)
    (tmp_path / "NMNIST/Train").mkdir(parents=True)
    with pytest.raises(DataError, match="found no recordings"):
        load_dataset("nmnist", tmp_path)
    files.nmnist(tmp_path)
    (tmp_path / "NMNIST/Test/1/00002.bin").write_bytes(b"12345678")
    with pytest.raises(DataError, match=r"Test/1/00002\.bin: expected events of 5 bytes"):
        load_dataset("nmnist", tmp_path)
    (tmp_path / "NMNIST/Test/ten").mkdir()
    (tmp_path / "NMNIST/Test/ten/00009.bin").write_bytes(b"")
    with pytest.raises(DataError, match="expected a folder named after a digit, found 'ten'"):
        load_dataset("nmnist", tmp_path)


def plain_gestures(root: Path, files: Any, labels: str) -> None:
    (root / "DVSGesture").mkdir()
    for name in ("1", "2", "10", "11"):
        content = files.events(files.moving_dot(int(name), 128, polarity=int(name) % 2, pause=20_000))
        (root / f"DVSGesture/{name}.bs2").write_bytes(content)
    (root / "DVSGesture/labels.txt").write_text(labels)


def test_gestures_in_plain_files(tmp_path: Path, files: Any) -> None:
    plain_gestures(
        tmp_path, files, "# file number name\n1.bs2 1 clap\n2.bs2 2 wave\n10.bs2 10 guitar\n11.bs2 11 other\n"
    )
    data = load_dataset("dvs_gesture", tmp_path)
    assert data.labels.tolist() == [0, 1, 9]
    assert data.class_names == GESTURES
    assert (data.input_shape, data.dt_s, data.held_out) == ((1, 128, 128), 0.05, None)
    assert data.completeness == "subset: 3 of 1,219"
    assert data.images.any(axis=(1, 2, 3)).all()  # whatever the polarity


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("1.bs2 1\n2.bs2 2\n", "found none for 10.bs2, 11.bs2"),
        ("1.bs2 12\n", r"labels\.txt: expected a gesture 1\.\.11, found '12'"),
        ("1.bs2 one\n", r"expected a gesture 1\.\.11, found 'one'"),
        ("1.bs2\n", "expected '<file> <number of the gesture> <name>', found '1.bs2'"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, files: Any, labels: str, said: str) -> None:
    plain_gestures(tmp_path, files, labels)
    with pytest.raises(DataError, match=said):
        load_dataset("dvs_gesture", tmp_path)


def test_gestures_as_tonic_keeps_them(tmp_path: Path, files: Any) -> None:
    for part, user in (("ibmGestureTrain", "user01_led"), ("ibmGestureTest", "user24_lab")):
        folder = tmp_path / "DVSGesture" / part / user
        folder.mkdir(parents=True)
        for label in range(11):
            events = np.array(files.moving_dot(label, 128, pause=20))[:, [0, 1, 3, 2]]
            np.save(folder / f"{label}.npy", events)
    data = load_dataset("dvs_gesture", tmp_path)
    assert sorted(data.labels.tolist()) == sorted([*range(10)] * 2)
    assert data.held_out.sum() == 10
    assert data.completeness == "subset: 20 of 1,219"
    (tmp_path / "DVSGesture/ibmGestureTest/user24_lab/12.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"12\.npy: expected a gesture 0\.\.10, found '12'"):
        load_dataset("dvs_gesture", tmp_path)


def test_no_gestures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dvs_gesture: looked in .*DVSGesture, found no such folder\. Get it from"):
        load_dataset("dvs_gesture", tmp_path)
    (tmp_path / "DVSGesture").mkdir()
    with pytest.raises(DataError, match=r"found no recordings\. Get it from"):
        load_dataset("dvs_gesture", tmp_path)
    (tmp_path / "DVSGesture/1.bs2").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected one labels\*\.txt for the \.bs2 files, found 0"):
        load_dataset("dvs_gesture", tmp_path)


SMALL = Sensor(34, 34, most_seconds=1)
LARGE = Sensor(128, 128, most_seconds=60)
EVENTS = [(3, 4, 10, 0), (33, 0, 20, 1), (0, 33, 8_000, 1)]


def columns(events: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(int(event[name]) for name in ("x", "y", "t", "p")) for event in events]


def test_the_events_of_a_file(tmp_path: Path, files: Any) -> None:
    (tmp_path / "a.bin").write_bytes(files.events(EVENTS))
    found = read_events(tmp_path / "a.bin", SMALL)
    assert found.dtype == EVENT
    assert columns(found) == EVENTS


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
    raw = b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in content)
    expected = tonic_io.read_mnist_file(io.BytesIO(raw), dtype=EVENT, is_stream=True)
    found = parse_events(raw, Sensor(128, 128, most_seconds=10**6), "")
    assert columns(found) == sorted(columns(expected), key=lambda event: event[2])


@given(st.binary(max_size=60))
def test_any_bytes_are_events_or_an_error_of_ours(content: bytes) -> None:
    try:
        found = parse_events(content, SMALL, "somewhere")
    except DataError:
        return
    assert 1 <= len(found) <= len(content) // 5
    assert found["x"].min() >= 0
    assert found["x"].max() < 34
    assert found["y"].max() < 34
    assert set(found["p"].tolist()) <= {0, 1}
    assert (np.diff(found["t"]) >= 0).all()
    assert found["t"][-1] - found["t"][0] <= 1_000_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "expected events of 5 bytes, found 0 bytes"),
        ([(34, 0, 0, 0)], r"expected events on a sensor of 34 x 34, found 1 off it, the first at \(34, 0\)"),
        ([(0, 34, 0, 0), (0, 99, 0, 0)], r"found 2 off it, the first at \(0, 34\)"),
        ([(0, 240, 0, 0)], "expected events, found none"),
        ([(0, 0, 0, 0), (0, 0, 2_000_000, 0)], "expected at most 1 s, found 2 s"),
        ([(0, 0, 0, 0)] + 200 * [(0, 240, 0, 0)] + [(0, 0, 0, 0)], "expected at most 1 s, found 2 s"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, files: Any, content: list[Any], said: str) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(files.events(content))
    with pytest.raises(DataError, match=rf"b\.bin: .*{said}"):
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
    ("values", "said"),
    [
        (np.zeros((3, 3)), r"expected events \(n, 4\), found \(3, 3\)"),
        (np.zeros((0, 4)), r"expected events \(n, 4\), found \(0, 4\)"),
        (np.full((2, 4), np.nan), "expected finite coordinates and times, found others"),
        (np.full((2, 4), 2**40), "expected finite coordinates and times, found others"),
        (np.array([[0, 0, 2, 0]]), r"expected polarities 0 and 1, found 2\.\.2"),
        (
            np.array([[-1, 0, 1, 0]]),
            r"expected events on a sensor of 128 x 128, found 1 off it, the first at \(-1, 0\)",
        ),
        (np.array([[0, 0, 1, 0], [0, 0, 1, 90_000]]), "expected at most 60 s, found 90 s"),
        (np.array([[None] * 4]), "expected an array of"),
    ],
)
def test_arrays_that_are_no_recording(tmp_path: Path, values: np.ndarray, said: str) -> None:
    np.save(tmp_path / "0.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match=rf"0\.npy: {said}"):
        read_event_array(tmp_path / "0.npy", LARGE)


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


PACKED = np.random.default_rng(0).integers(0, 256, size=(4, 3, 2), dtype=np.uint8)


class Maker:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> np.ndarray:
        self.asked += 1
        return PACKED.copy()


def ask(cache: Path, make: Maker, made_of: object = 1, shape: tuple[int, int] = (4, 2)) -> np.ndarray:
    return cached_frames("dots", made_of, shape, make, cache)


def test_made_once(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert np.array_equal(ask(tmp_path / "new", make), PACKED)
    assert make.asked == 1
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_made_anew_of_other_recordings_or_settings(tmp_path: Path) -> None:
    make = Maker()
    ask(tmp_path, make, made_of=["a", 1])
    ask(tmp_path, make, made_of=["a", 2])
    ask(tmp_path, make, made_of=["a", 1])
    assert make.asked == 2


def flip_last(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replace(array: np.ndarray, name: str = "packed") -> Callable[[Path], None]:
    return lambda path: save_file({name: array}, path, metadata={"key": "another", "sha256": "another"})


@pytest.mark.parametrize(
    "damage",
    [
        flip_last,
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.write_text("PK not a safetensors file"),
        replace(PACKED),
        replace(PACKED.astype(np.int32)),
        replace(PACKED[0]),
        replace(PACKED, name="frames"),
        lambda path: save_file({"packed": PACKED}, path),
    ],
    ids=range(10),
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    make = Maker()
    ask(tmp_path, make)
    (path,) = tmp_path.iterdir()
    damage(path)
    assert np.array_equal(ask(tmp_path, make), PACKED)
    assert make.asked == 2
    assert np.array_equal(ask(tmp_path, make), PACKED)
    assert make.asked == 2


def test_another_shape_than_expected_is_made_anew(tmp_path: Path) -> None:
    make = Maker()
    ask(tmp_path, make)
    ask(tmp_path, make, shape=(5, 2))
    ask(tmp_path, make, shape=(4, 3))
    assert make.asked == 3


def test_a_folder_that_cannot_be_written_to_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    make = Maker()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.array_equal(ask(tmp_path / "file", make), PACKED)
    assert make.asked == 2
    assert "frames are not kept" in caplog.text


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BL_NEURO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache/bl-neuro"
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_folder() == Path("xdg/bl-neuro")
    monkeypatch.setenv("BL_NEURO_CACHE", "ours")
    assert cache_folder() == Path("ours")
    assert cache_folder("~/mine") == tmp_path / "mine"
