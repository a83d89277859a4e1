"""N-MNIST, from small files in its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import load_dataset, official_split
from bl_neuro.strangers import budget


def test_nmnist_in_its_folders(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path, train=12, test=3)
    calls: list[tuple[int, int]] = []
    data: Any = load_dataset(
        "nmnist", tmp_path, cache=tmp_path / "cache", progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(done, 15) for done in range(1, 16)]
    assert (data.input_shape, data.dt_s) == ((1, 34, 34), 0.003)
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 0, 1, 2]
    assert data.held_out is not None
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
    data: Any = load_dataset("nmnist", tmp_path)
    lively = data.frames_at(slice(None)).any(axis=(2, 3, 4))
    assert data.held_out is None
    assert lively.shape == (2, 19)
    assert lively.sum(axis=1).tolist() == [19, 9]


def test_nmnist_missing_or_damaged(tmp_path: Path, files: Any) -> None:
    with pytest.raises(
        DataError, match=r"nmnist: looked for the data in .*NMNIST, found no such folder\. Get it from https://"
    ):
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


def test_a_recording_of_noise_alone_is_refused_by_name(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path)
    (tmp_path / "NMNIST/Train/0/00001.bin").write_bytes(files.events([(1, 1, 100_000, 0), (30, 30, 200_000, 0)]))
    with pytest.raises(DataError, match=r"00001\.bin: expected events, found only noise"):
        load_dataset("nmnist", tmp_path)


def test_files_of_archivers_are_no_recordings(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path)
    (tmp_path / "NMNIST/Train/0/._00001.bin").write_bytes(b"not events")
    (tmp_path / "NMNIST/Train/__MACOSX").mkdir()
    (tmp_path / "NMNIST/Train/__MACOSX/00001.bin").write_bytes(b"not events")
    assert len(load_dataset("nmnist", tmp_path).labels) == 15


def test_one_long_recording_cannot_make_all_take_gigabytes(
    tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.nmnist(tmp_path)
    monkeypatch.setattr(budget, "SLACK_BYTES", 0)
    monkeypatch.setattr(budget, "GROWTH", 1)
    with pytest.raises(DataError, match=r"NMNIST: expected at most 6000 bytes of values, .* found 28275"):
        load_dataset("nmnist", tmp_path)


def test_other_spellings_of_names(tmp_path: Path, files: Any) -> None:
    files.nmnist(tmp_path)
    path = tmp_path / "NMNIST/Train/0/00001.bin"
    path.rename(path.with_suffix(".BIN"))
    assert len(load_dataset("nmnist", tmp_path).labels) == 15
    (tmp_path / "NMNIST/Test").rename(tmp_path / "NMNIST/test")
    with pytest.raises(DataError, match="NMNIST/test: expected a folder named Test; rename it"):
        load_dataset("nmnist", tmp_path)
    (tmp_path / "NMNIST/test").rename(tmp_path / "elsewhere")
    (tmp_path / "NMNIST/Test").symlink_to("/not/mounted/Test")
    with pytest.raises(DataError, match="NMNIST/Test: expected a file or folder, found a link to /not/mounted/Test"):
        load_dataset("nmnist", tmp_path)


def test_recordings_of_equal_name_size_and_time_are_told_apart(tmp_path: Path, files: Any) -> None:
    """Archives may give all files the same time."""
    frames = []
    for root, start in (("first", 1), ("second", 9)):
        files.nmnist(tmp_path / root, train=1, test=0)
        path = tmp_path / root / "NMNIST/Train/0/00001.bin"
        path.write_bytes(files.events(files.moving_dot(start, 34)))
        os.utime(path, (0, 0))
        data: Any = load_dataset("nmnist", tmp_path / root, cache=tmp_path / "cache")
        frames.append(data.frames_at(slice(None)))
    assert not np.array_equal(*frames)
