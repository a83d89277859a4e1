"""Files are written atomically."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro import InputError, ReportError
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.data.source import data_root
from bl_neuro.files import atomic_path, cache_folder, expanded, need_folder, need_free, what_is_at, write_text


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


def special_files(folder: Path) -> dict[str, Path]:
    """Objects that no output may replace, by what a message calls them."""
    (folder / "precious.txt").write_text("precious")
    (folder / "link").symlink_to(folder / "precious.txt")
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    names = {"link": "a symbolic link", "dangling": "a symbolic link", "folder": "a folder", "pipe": "a named pipe"}
    return {
        f"{name}: expected a regular file or a free name, found {kind}": folder / name for name, kind in names.items()
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    for message, path in special_files(tmp_path).items():
        before = path.lstat()
        with pytest.raises(OSError, match=message):
            write_text(path, "new")
        with pytest.raises(ReportError, match=message):
            need_free([path], force=True)
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "precious.txt").read_text() == "precious"
    assert names(tmp_path) == ["dangling", "folder", "link", "pipe", "precious.txt"]


def test_what_takes_the_name_while_a_file_is_written_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    with pytest.raises(OSError, match="found a symbolic link"), atomic_path(path):
        path.symlink_to(tmp_path / "other.txt")
    assert path.is_symlink()
    assert names(tmp_path) == ["new.txt"]


def test_an_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    write_text(tmp_path / "old.txt", "old")
    need_free([tmp_path / "new.txt"], force=False)
    need_free([tmp_path / "old.txt"], force=True)
    with pytest.raises(InputError, match=r"old.txt: already exists; choose another name, or overwrite it with --force"):
        need_free([tmp_path / "new.txt", tmp_path / "old.txt"], force=False)


WRITES = """
import sys
from pathlib import Path
from bl_neuro.files import write_text
for name in ("null", "disk"):
    try:
        write_text(Path(sys.argv[1]) / name, "new")
    except OSError as error:
        print(error)
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, path.is_char_device(), path.is_block_device())
"""


def test_devices_are_not_replaced(tmp_path: Path, in_mount_namespace: Any) -> None:
    """In a mount namespace of its own, where the devices are as real as those in /dev."""
    folder = shlex.quote(str(tmp_path))
    devices = f"mount -t tmpfs none {folder} && mknod {folder}/null c 1 3 && mknod {folder}/disk b 7 200"
    done = in_mount_namespace(devices, sys.executable, "-c", WRITES, str(tmp_path))
    refusal = "expected a regular file or a free name, found a device, which is not replaced"
    expected = [f"{tmp_path}/null: {refusal}", f"{tmp_path}/disk: {refusal}", "disk False True", "null True False"]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user that the system does not know, in a container with another user id."""

    def unknown(user: object) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)


@pytest.mark.usefixtures("_no_home")
def test_without_a_home_folder_there_is_no_cache_and_a_tilde_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("BL_NEURO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_folder() is None
    assert expanded(tmp_path) == tmp_path
    with pytest.raises(InputError, match=r"path: expected a path, found '~/x', and no home folder is known for '~'"):
        expanded("~/x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bl-neuro"


@pytest.mark.parametrize(
    ("variable", "use"),
    [
        ("BL_NEURO_CACHE", cache_folder),
        ("XDG_CACHE_HOME", cache_folder),
        ("BL_NEURO_DATA", data_root),
        ("BL_NEURO_LAVA_PYTHON", LavaBackend.other_python),
    ],
)
def test_a_variable_with_the_home_folder_of_an_unknown_user_is_an_error_that_names_it(
    variable: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BL_NEURO_CACHE", raising=False)
    monkeypatch.setenv(variable, "~nouser/folder")
    with pytest.raises(InputError, match=f"{variable}: expected a path, found '~nouser/folder', and no home folder"):
        use()


def test_calls_with_the_home_folder_of_an_unknown_user_are_errors(tmp_path: Path) -> None:
    for call in (
        lambda: bl.audit("~nouser/x.toml", out=tmp_path),
        lambda: bl.audit("digits", out="~nouser/x"),
        lambda: bl.export(tmp_path / "x.safetensors", "~nouser/x.net"),
        lambda: bl.compare(["~nouser/a", "~nouser/b"]),
        lambda: bl.train("digits", out="~nouser/x"),
    ):
        with pytest.raises(InputError, match="no home folder is known for '~nouser'"):
            call()


def test_temporary_files_go_to_the_output_folder_if_no_other_is_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/missing")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [os.environ["TMPDIR"]])
    need_folder(tmp_path / "out")
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == tmp_path / "out"
    assert os.environ["TMPDIR"] == str(tmp_path / "out")


def test_other_temporary_files_stay_where_they_are(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    need_folder(tmp_path)
    assert tempfile.gettempdir() == before != str(tmp_path)


def test_a_relative_path_of_an_interpreter_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BL_NEURO_LAVA_PYTHON", "./python")
    assert LavaBackend.other_python() == "./python"
