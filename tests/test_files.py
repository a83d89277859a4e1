"""Files are written atomically."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from bl_neuro import ReportError
from bl_neuro.files import atomic_path, need_folder, what_is_at, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_creates_missing_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "größer")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "größer".encode()
    assert names(tmp_path / "a" / "b") == ["c.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with suppress(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_place_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError), atomic_path(tmp_path / "file" / "x.txt"):  # noqa: PT011 - which one is up to the system
        pytest.fail("there is no such place")


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError), atomic_path(tmp_path / "taken"):  # noqa: PT011
        pass
    assert names(tmp_path) == ["taken"]


def test_the_kind_of_a_path_is_described(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "a")
    assert [what_is_at(path) for path in (tmp_path / "a.txt", tmp_path)] == ["a file", "a folder"]
    for name in ("b.txt", "b" * 5000, "b\0", "b\ud800"):
        assert what_is_at(tmp_path / name) == "nothing"


def test_a_needed_folder_is_made_and_tried(tmp_path: Path) -> None:
    need_folder(tmp_path / "a" / "b")
    need_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("in the way")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ReportError, match="expected a writable folder"):
            need_folder(wrong)


def test_a_folder_of_results_whose_name_is_not_utf8_is_refused_first(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"out-\xe9")
    with pytest.raises(ReportError, match="expected a folder whose name is UTF-8"):
        need_folder(folder)
    assert not folder.exists()
