"""Files of sample indices: four formats are read, and errors name the problem."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.data.sample_indices import read_sample_indices
from bl_neuro.errors import DataError


def written(path: Path, values: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, np.asarray(values))
    elif path.suffix == ".npz":
        np.savez(path, indices=np.asarray(values))
    else:
        path.write_text(json.dumps(values) if path.suffix == ".json" else "\n".join(map(str, values)))
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".txt", ".json"])
def test_every_format_is_read(suffix: str, tmp_path: Path) -> None:
    assert read_sample_indices(written(tmp_path / f"used{suffix}", [7, 0, 3]), 8).tolist() == [0, 3, 7]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".txt", ".json"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 8], "expected sample indices in 0..7, found 1..8"),
        ([-1, 2], "expected sample indices in 0..7, found -1..2"),
        ([1, 2, 1], "expected every sample index once, found 1 repeated, the first of them 1"),
        ([0.5, 1.0], "expected sample indices"),
        ([], "expected"),
    ],
)
def test_wrong_indices_are_refused(suffix: str, values: list[Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"used{suffix}", values)
    with pytest.raises(DataError, match=message.replace(".", r"\.")) as error:
        read_sample_indices(path, 8)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("used.csv", b"1", "expected a file of sample indices, .npy, .npz, .txt, .json, found '.csv'"),
        ("used.json", b'{"a": 1}', "expected a list of whole numbers"),
        ("used.json", b"[true, false]", "expected a list of whole numbers"),
        ("used.json", b"[10000000000000000000000]", "expected sample indices in 0..7"),
        ("used.txt", b"\xff\xfe", "expected sample indices"),
        ("used.npy", b"not numpy", "expected sample indices"),
        ("used.npz", b"PK\x03\x04", "expected sample indices"),
    ],
)
def test_damaged_files_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_sample_indices(tmp_path / name, 8)
    assert message in str(error.value)


def test_a_missing_file_and_a_table_are_refused(tmp_path: Path) -> None:
    for name in ("none", "none.npy", "none.npz", "none.txt"):
        with pytest.raises(DataError, match=r"expected a file of sample indices .*, found nothing there"):
            read_sample_indices(tmp_path / name, 8)
    with pytest.raises(DataError, match=r"found an array \(2, 2\)"):
        read_sample_indices(written(tmp_path / "table.npy", [[0, 1], [2, 3]]), 8)


@pytest.mark.parametrize(("name", "text"), [("i.txt", "0 2"), ("i.json", "[0, 2]")])
def test_a_byte_order_mark_is_skipped(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert read_sample_indices(tmp_path / name, 5).tolist() == [0, 2]


@pytest.mark.parametrize("suffix", [".txt", ".json", ".npy", ".npz"])
def test_no_more_is_read_than_the_samples_need(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"i{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, np.zeros(10**7, np.int64))
    else:
        path.write_bytes(b" " * 10**6)
    with pytest.raises(DataError, match="expected at most 65696 bytes"):
        read_sample_indices(path, 5)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "i.txt")
    with pytest.raises(DataError, match="expected a file, found a named pipe"):
        read_sample_indices(tmp_path / "i.txt", 5)


@pytest.mark.parametrize("word", ["1_0", "+5", "-0", "٣", "１", "1.0", "0x1", "1" * 30])
def test_numbers_of_other_spellings_are_refused(word: str, tmp_path: Path) -> None:
    (tmp_path / "i.txt").write_text(f"0 {word}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected sample indices \(expected whole numbers in decimal digits, found"):
        read_sample_indices(tmp_path / "i.txt", 20)


def test_suffixes_in_upper_case(tmp_path: Path) -> None:
    (tmp_path / "I.TXT").write_text("0 2")
    assert read_sample_indices(tmp_path / "I.TXT", 3).tolist() == [0, 2]
