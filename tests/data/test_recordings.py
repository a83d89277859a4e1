"""N-MNIST and the gestures, from small files in their formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import load_dvs_gesture, load_nmnist, official_split
from bl_neuro.data.dvs_gesture import GESTURES

pytest.importorskip("tonic", reason="tonic is not installed")


def test_nmnist_in_its_folders(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path, train=12, test=3)
    told: list[tuple[int, int]] = []
    data = load_nmnist(tmp_path, cache=tmp_path / "cache", progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 15) for done in range(1, 16)]
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
        return load_nmnist(tmp_path, cache=tmp_path / "cache", progress=lambda done, total: made.append(done))

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
    data = load_nmnist(tmp_path)
    lively = data.frames_at(slice(None)).any(axis=(2, 3, 4))
    assert data.held_out is None
    assert lively.shape == (2, 19)
    assert lively.sum(axis=1).tolist() == [19, 9]


def test_nmnist_missing_or_damaged(tmp_path: Path, files: Any) -> None:
    with pytest.raises(DataError, match=r"nmnist: looked in .*NMNIST, found no such folder\. Get it from https://"):
        load_nmnist(tmp_path)
    (tmp_path / "NMNIST/Train").mkdir(parents=True)
    with pytest.raises(DataError, match="found no recordings"):
        load_nmnist(tmp_path)
    files.nmnist(tmp_path)
    (tmp_path / "NMNIST/Test/1/00002.bin").write_bytes(b"12345678")
    with pytest.raises(DataError, match=r"Test/1/00002\.bin: expected events of 5 bytes"):
        load_nmnist(tmp_path)
    (tmp_path / "NMNIST/Test/ten").mkdir()
    (tmp_path / "NMNIST/Test/ten/00009.bin").write_bytes(b"")
    with pytest.raises(DataError, match="expected a folder named after a digit, found 'ten'"):
        load_nmnist(tmp_path)


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
    data = load_dvs_gesture(tmp_path)
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
        load_dvs_gesture(tmp_path)


def test_gestures_as_tonic_keeps_them(tmp_path: Path, files: Any) -> None:
    for part, user in (("ibmGestureTrain", "user01_led"), ("ibmGestureTest", "user24_lab")):
        folder = tmp_path / "DVSGesture" / part / user
        folder.mkdir(parents=True)
        for label in range(11):
            events = np.array(files.moving_dot(label, 128, pause=20))[:, [0, 1, 3, 2]]
            np.save(folder / f"{label}.npy", events)
    data = load_dvs_gesture(tmp_path)
    assert sorted(data.labels.tolist()) == sorted([*range(10)] * 2)
    assert data.held_out.sum() == 10
    assert data.completeness == "subset: 20 of 1,219"
    (tmp_path / "DVSGesture/ibmGestureTest/user24_lab/12.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"12\.npy: expected a gesture 0\.\.10, found '12'"):
        load_dvs_gesture(tmp_path)


def test_no_gestures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dvs_gesture: looked in .*DVSGesture, found no such folder\. Get it from"):
        load_dvs_gesture(tmp_path)
    (tmp_path / "DVSGesture").mkdir()
    with pytest.raises(DataError, match=r"found no recordings\. Get it from"):
        load_dvs_gesture(tmp_path)
    (tmp_path / "DVSGesture/1.bs2").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected one labels\*\.txt for the \.bs2 files, found 0"):
        load_dvs_gesture(tmp_path)
