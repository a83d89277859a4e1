"""DVS128 Gesture, from small files in its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import load_dataset
from bl_neuro.data.dvs_gesture import GESTURES


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
    data: Any = load_dataset("dvs_gesture", tmp_path)
    assert data.labels.tolist() == [0, 1, 9]
    assert data.class_names == GESTURES
    assert (data.input_shape, data.dt_s, data.held_out) == ((1, 128, 128), 0.05, None)
    assert data.completeness == "subset: 3 of 1,219"
    assert data.images.any(axis=(1, 2, 3)).all()  # whatever the polarity


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("1.bs2 1\n2.bs2 2\n", "found none for 10.bs2, 11.bs2"),
        ("1.bs2 12\n", r"labels\.txt: expected a gesture 1\.\.11, found '12'"),
        ("1.bs2 one\n", r"expected a gesture 1\.\.11, found 'one'"),
        ("1.bs2 1\n1.bs2 2\n", r"labels\.txt: expected one gesture for 1\.bs2, found 1 and 2"),
        ("1.bs2\n", "expected '<file> <number of the gesture> <name>', found '1.bs2'"),
    ],
)
def test_invalid_labels_are_refused(tmp_path: Path, files: Any, labels: str, message: str) -> None:
    plain_gestures(tmp_path, files, labels)
    with pytest.raises(DataError, match=message):
        load_dataset("dvs_gesture", tmp_path)


def test_gestures_as_tonic_keeps_them(tmp_path: Path, files: Any) -> None:
    for part, user in (("ibmGestureTrain", "user01_led"), ("ibmGestureTest", "user24_lab")):
        folder = tmp_path / "DVSGesture" / part / user
        folder.mkdir(parents=True)
        for label in range(11):
            events = np.array(files.moving_dot(label, 128, pause=20))[:, [0, 1, 3, 2]]
            np.save(folder / f"{label}.npy", events)
    data: Any = load_dataset("dvs_gesture", tmp_path)
    assert sorted(data.labels.tolist()) == sorted([*range(10)] * 2)
    assert data.held_out is not None
    assert data.held_out.sum() == 10
    assert data.completeness == "subset: 20 of 1,219"
    (tmp_path / "DVSGesture/ibmGestureTest/user24_lab/12.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"12\.npy: expected a gesture 0\.\.10, found '12'"):
        load_dataset("dvs_gesture", tmp_path)


def test_no_gestures(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dvs_gesture: looked for the data in .*DVSGesture, found no such folder\. Get it from"
    ):
        load_dataset("dvs_gesture", tmp_path)
    (tmp_path / "DVSGesture").mkdir()
    with pytest.raises(DataError, match=r"found no recordings\. Get it from"):
        load_dataset("dvs_gesture", tmp_path)
    (tmp_path / "DVSGesture/1.bs2").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected one labels\*\.txt for the \.bs2 files, found 0"):
        load_dataset("dvs_gesture", tmp_path)


def test_labels_may_start_with_a_byte_order_mark_and_repeat_themselves(tmp_path: Path, files: Any) -> None:
    plain_gestures(tmp_path, files, "\ufeff1.bs2 1\n2.bs2 2\n10.bs2 10\n11.bs2 11\n1.bs2 1\n")
    (tmp_path / "DVSGesture/._1.bs2").write_bytes(b"not events")
    (tmp_path / "DVSGesture/._labels.txt").write_bytes(b"not labels")
    assert load_dataset("dvs_gesture", tmp_path).labels.tolist() == [0, 1, 9]


def test_labels_of_files_whose_names_are_not_utf8(tmp_path: Path, files: Any) -> None:
    folder = tmp_path / "DVSGesture"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.bs2")).write_bytes(files.events(files.moving_dot(1, 128, pause=20_000)))
    (folder / "labels.txt").write_bytes(b"caf\xe9.bs2 3 name\n")
    assert load_dataset("dvs_gesture", tmp_path).labels.tolist() == [2]


def test_suffixes_in_upper_case_are_read(tmp_path: Path, files: Any) -> None:
    plain_gestures(tmp_path, files, "1.BS2 1\n2.bs2 2\n10.bs2 10\n11.bs2 11\n")
    folder = tmp_path / "DVSGesture"
    (folder / "1.bs2").rename(folder / "1.BS2")
    (folder / "labels.txt").rename(folder / "Labels.TXT")
    assert sorted(load_dataset("dvs_gesture", tmp_path).labels.tolist()) == [0, 1, 9]
    user = folder / "ibmGestureTrain/user01_led"
    user.mkdir(parents=True)
    np.save(user / "0.npy", np.array(files.moving_dot(0, 128, pause=20))[:, [0, 1, 3, 2]])
    (user / "0.npy").rename(user / "0.NPY")
    assert load_dataset("dvs_gesture", tmp_path).labels.tolist() == [0]


def test_labels_without_a_recording_are_logged(tmp_path: Path, files: Any, caplog: pytest.LogCaptureFixture) -> None:
    plain_gestures(tmp_path, files, "1.bs2 1\n2.bs2 2\n10.bs2 10\n11.bs2 11\n12.bs2 3\n13.bs2 3\n")
    assert load_dataset("dvs_gesture", tmp_path).labels.tolist() == [0, 1, 9]
    assert "DVSGesture: 2 recordings have a label and no file, such as 12.bs2" in caplog.text


@pytest.mark.parametrize("name", ["a\x85b.bs2", "a\x1cb.bs2", "a\u2028b.bs2", "a\xa0b.bs2"])
def test_lines_and_words_of_labels_end_at_ascii_white_space_only(name: str, tmp_path: Path, files: Any) -> None:
    folder = tmp_path / "DVSGesture"
    folder.mkdir()
    (folder / name).write_bytes(files.events(files.moving_dot(1, 128, pause=20_000)))
    (folder / "labels.txt").write_bytes(f"# all\r\n{name}\t3 name\r\n\r\n".encode())
    assert load_dataset("dvs_gesture", tmp_path).labels.tolist() == [2]
