"""Only regular files are opened, folders that cannot be read are named, and every name can be printed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro import DataError, InputError
from bl_neuro.strangers import budget, door
from bl_neuro.strangers.budget import memory_budget, need_memory
from bl_neuro.strangers.door import (
    entries,
    files_in_subfolders,
    folders,
    is_folder,
    is_foreign,
    printable_name,
    read_bytes,
)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: expected a file, found a named pipe"):
        read_bytes(tmp_path / "pipe", 10)


def test_sockets_devices_and_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(DataError, match="expected a file, found a socket"):
            read_bytes(Path("socket"), 10)
    with pytest.raises(DataError, match="expected a file, found a device"):
        read_bytes(Path("/dev/zero"), 10)
    with pytest.raises(DataError, match="expected a file, found a folder"):
        read_bytes(tmp_path, 10)
    with pytest.raises(DataError, match=r"expected a file that can be read \(No such file"):
        read_bytes(tmp_path / "none", 10)
    with pytest.raises(DataError, match="expected a file that can be read"):
        read_bytes(tmp_path / "a\0b", 10)


def test_links_must_stay_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "real").write_text("in")
    (tmp_path / "secret").write_text("out")
    (folder / "sub/in").symlink_to("../real")
    (folder / "out").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    (folder / "all").symlink_to(tmp_path)
    assert read_bytes(folder / "sub/in", 10, folder) == b"in"
    assert read_bytes(folder / "out", 10) == b"out"
    for name in ("out", "all/secret"):
        with pytest.raises(DataError, match=r"expected a file in .*folder, found a link to .*secret; copy the file"):
            read_bytes(folder / name, 10, folder)
    with pytest.raises(DataError, match="loop: expected a file"):
        read_bytes(folder / "loop", 10, folder)


def test_the_size_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(DataError, match="a: expected at most 10 bytes, found 11"):
        read_bytes(tmp_path / "a", 10)


def test_hidden_and_foreign_names_are_no_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a", "__MACOSX", ".git"):
        (tmp_path / name).mkdir()
    for name in ("._a", "Thumbs.db", "x"):
        (tmp_path / name).write_text("")
    assert [path.name for path in entries(tmp_path)] == ["a", "b", "x"]
    assert [path.name for path in folders(tmp_path)] == ["a", "b"]
    monkeypatch.setattr(door, "MOST_ENTRIES", 3)
    with pytest.raises(DataError, match="expected at most 3 entries, found more"):
        entries(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"expected a folder that can be read \(Permission denied\)"):
        entries(tmp_path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain é", "plain é"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\xed\xa0\x80"),
        ("a\x1b[2J\nb\u202e", r"a\x1b[2J\nb\u202e"),
    ],
)
def test_names_become_printable(name: str, shown: str) -> None:
    assert printable_name(name) == shown


@given(st.text(st.characters(exclude_categories=())) | st.binary().map(os.fsdecode))
def test_every_name_becomes_printable(name: str) -> None:
    shown = printable_name(name)
    assert shown.encode().decode() == shown
    assert shown.isprintable()
    assert printable_name(shown) == shown


def test_the_memory_budget_grows_with_the_file_and_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_budget(10) == budget.SLACK_BYTES + 10 * budget.GROWTH
    with pytest.raises(DataError, match=r"own: expected at most 268435456 bytes of values, .* BL_NEURO_READ_MIB=1024"):
        need_memory("own", 2**30, 0)
    monkeypatch.setenv("BL_NEURO_READ_MIB", "1024")
    need_memory("own", 2**30, 0)
    for text in ("-1", "lots", "0", "1" * 20, "٣"):
        monkeypatch.setenv("BL_NEURO_READ_MIB", text)
        with pytest.raises(InputError, match="BL_NEURO_READ_MIB: expected a positive number of MiB"):
            memory_budget(1)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@tmp", "Network Trash Folder",
        "Temporary Items", "TheVolumeSettingsFolder", "FOUND.000", "found.001", "$Recycle.Bin", "thumbs.db",
        "ehthumbs.db", "Desktop.INI", "Icon\r", "lost+found", "__pycache__",
    ],
)  # fmt: skip
def test_names_that_systems_create_are_foreign_in_any_case(name: str) -> None:
    assert is_foreign(name)
    assert not is_foreign(name + "2x")


def test_a_link_that_leads_nowhere_is_not_taken_for_a_missing_folder(tmp_path: Path) -> None:
    """It may link to a folder on a disk that is not mounted."""
    (tmp_path / "a").mkdir()
    assert not is_folder(tmp_path / "b")
    (tmp_path / "b").symlink_to("/not/mounted/b")
    for function in (folders, lambda folder: is_folder(folder / "b")):
        with pytest.raises(
            DataError, match=r"b: expected a file or folder, found a link to /not/mounted/b, which does"
        ):
            function(tmp_path)


def test_files_in_subfolders(tmp_path: Path) -> None:
    for name in ("part/1/b.BIN", "part/1/a.bin", "part/2/c.txt", "part/@eaDir/d.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.name for path in files_in_subfolders(tmp_path / "part", ".bin")] == ["a.bin", "b.BIN"]
    assert files_in_subfolders(tmp_path / "other", ".bin") == []
    with pytest.raises(DataError, match="part: expected a folder named Part; rename it"):
        files_in_subfolders(tmp_path / "Part", ".bin")
    (tmp_path / "other").symlink_to("/not/mounted/other")
    with pytest.raises(DataError, match="other: expected a file or folder, found a link"):
        files_in_subfolders(tmp_path / "other", ".bin")
