"""A server writes only files of its own, changes no others, and waits for no named pipe."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.deploy.serve.clients import read_token_file
from bl_neuro.deploy.serve.ledger import Charge, Ledger
from bl_neuro.deploy.serve.paths import keep_aside
from bl_neuro.deploy.serve.seal import read_mark
from bl_neuro.deploy.serve.server import check_pair
from bl_neuro.errors import InputError, LogDamaged

PRECIOUS = b"a file of the user " * 40


def open_and_close(log: Path, seal: Path | None = None, accept_damage: bool = False, times: int = 0) -> None:
    """Opens a log, charges some queries and closes it."""
    ledger = Ledger(log, "network", 20, seal, accept_damage)
    for _ in range(times):
        ledger.charge([Charge("a", None, b"1", 1)])
    ledger.close()


def contents(folder: Path) -> dict[str, bytes | None]:
    """Content of every file in a folder by name, None for those that are not regular."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize("accept_damage", [False, True])
@pytest.mark.parametrize("content", [PRECIOUS, b'{"a": 1}', b"\x00\x01"])
def test_a_seal_replaces_no_other_file(content: bytes, accept_damage: bool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(InputError, match="expected a seal or no file, found another file, which is not replaced"):
        open_and_close(tmp_path / "log", file, accept_damage)
    assert contents(tmp_path) == {"file": content}


@pytest.mark.parametrize("damage", [b"", bytes(512), b'{"log": Infinity, "entries": Infinity, "last": 1}'])
def test_a_damaged_seal_is_kept(damage: bytes, tmp_path: Path) -> None:
    log, seal = tmp_path / "log", tmp_path / "log.seal"
    open_and_close(log, times=3)
    seal.write_bytes(damage)
    with pytest.raises(LogDamaged, match=r"the seal .* is damaged"):
        open_and_close(log)
    assert not (tmp_path / "log.seal.damaged-1").exists()
    open_and_close(log, accept_damage=True)
    assert (tmp_path / "log.seal.damaged-1").read_bytes() == damage
    open_and_close(log)


def test_the_seal_of_another_log_is_kept(tmp_path: Path) -> None:
    open_and_close(tmp_path / "other", times=3)
    other_seal = (tmp_path / "other.seal").read_bytes()
    with pytest.raises(LogDamaged, match="seal counts 3 entries"):
        open_and_close(tmp_path / "log", tmp_path / "other.seal")
    open_and_close(tmp_path / "log", tmp_path / "other.seal", accept_damage=True)
    assert (tmp_path / "other.seal.damaged-1").read_bytes() == other_seal


def test_a_file_that_took_the_place_of_the_seal_is_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", 20)
    (tmp_path / "precious").write_bytes(PRECIOUS)
    (tmp_path / "precious").replace(tmp_path / "log.seal")
    with pytest.raises(LogDamaged, match="deleted, renamed or replaced"):
        ledger.charge([Charge("a", None, b"1", 1)])
    ledger.close()
    assert (tmp_path / "log.seal.damaged-1").read_bytes() == PRECIOUS
    assert read_mark(tmp_path / "log.seal") is not None


@pytest.mark.parametrize("has_links", [False, True])
def test_a_file_that_is_kept_also_stays_where_it_is(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*paths: Path) -> None:
        raise OSError(95, "Operation not supported")

    if not has_links:
        monkeypatch.setattr("os.link", fail)
    (tmp_path / "log").write_bytes(PRECIOUS)
    (tmp_path / "log").chmod(0o600)
    keep_aside(tmp_path / "log", ("", "-wal"))
    assert contents(tmp_path) == {"log": PRECIOUS, "log.damaged-1": PRECIOUS}
    assert (tmp_path / "log.damaged-1").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".lock", ".damaged-1"])
def test_the_seal_is_none_of_the_files_of_the_log(ending: str, exists: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    if exists:
        open_and_close(log, times=3)
    before = contents(tmp_path)
    (tmp_path / "link").symlink_to(f"log{ending}")
    for seal in (Path(f"{log}{ending}"), tmp_path / "link"):
        with pytest.raises(InputError, match=r"--log-seal: expected a file of its own, .* belongs to the log"):
            open_and_close(log, seal)
    (tmp_path / "link").unlink()
    assert contents(tmp_path) == before


def test_the_seal_beside_a_log_may_not_be_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "log.seal").symlink_to(tmp_path / "log")
    with pytest.raises(InputError, match="--log-seal: expected a file of its own"):
        open_and_close(tmp_path / "log")
    (tmp_path / "log.seal").unlink()
    open_and_close(tmp_path / "log", times=1)
    os.link(tmp_path / "log", tmp_path / "hard")
    with pytest.raises(InputError, match="--log-seal: expected a file of its own"):
        open_and_close(tmp_path / "log", tmp_path / "hard")


@pytest.mark.parametrize("has_seal", [False, True])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_database_of_another_program_is_not_changed(mode: str, has_seal: bool, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    database = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("CREATE TABLE queries (text)")
    for path in tmp_path.glob("other.db*"):  # in WAL mode, the table is in the journal alone
        shutil.copy(path, folder)
    database.close()
    if has_seal:
        open_and_close(tmp_path / "log", times=3)
        shutil.copy(tmp_path / "log.seal", folder / "other.db.seal")
    before = contents(folder)
    for accept_damage in (False, True):
        with pytest.raises(InputError, match="a log of queries or no file, found a database of another program"):
            open_and_close(folder / "other.db", accept_damage=accept_damage)
    assert contents(folder) == before


def test_a_file_that_is_no_database_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PRECIOUS)
    with pytest.raises(InputError, match="expected a log of queries or no file, found another file"):
        open_and_close(tmp_path / "file")
    assert contents(tmp_path) == {"file": PRECIOUS}


def test_a_lock_file_of_another_program_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").write_bytes(PRECIOUS)
    with pytest.raises(InputError, match=r"poetry\.lock: expected an empty lock file or a free name, found"):
        open_and_close(tmp_path / "poetry")
    assert contents(tmp_path) == {"poetry.lock": PRECIOUS}


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_file_beside_a_missing_log_is_kept(ending: str, tmp_path: Path) -> None:
    """SQLite deletes it otherwise."""
    (tmp_path / f"log{ending}").write_bytes(PRECIOUS)
    with pytest.raises(LogDamaged, match=f"log{ending}, which belongs to it, exists"):
        open_and_close(tmp_path / "log")
    open_and_close(tmp_path / "log", accept_damage=True)
    assert (tmp_path / f"log.damaged-1{ending}").read_bytes() == PRECIOUS


SPECIAL: list[tuple[str, Callable[[Path], None]]] = [
    ("a named pipe", os.mkfifo),
    ("a folder", Path.mkdir),
]


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".lock", ".seal"])
@pytest.mark.parametrize(("kind", "create"), SPECIAL)
def test_a_special_file_is_neither_waited_for_nor_replaced(
    kind: str, create: Callable[[Path], None], ending: str, tmp_path: Path
) -> None:
    create(tmp_path / f"log{ending}")
    with pytest.raises(InputError, match=f"log{ending}: expected a regular file or a free name, found {kind}"):
        open_and_close(tmp_path / "log")
    assert contents(tmp_path) == {f"log{ending}": None}


def test_no_folder_is_created_for_a_log_that_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="named pipe"):
        open_and_close(tmp_path / "new" / "log", tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"--log: expected a path"):
        open_and_close(tmp_path / "loop")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", ["MODEL", "--token-file", "--tls-certificate", "--tls-key"])
@pytest.mark.parametrize("written", ["--log", "--log-seal"])
def test_the_log_is_none_of_the_files_that_the_server_reads(
    written: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name.strip("-") for name in ("MODEL", "--token-file", "--tls-certificate", "--tls-key")}
    own = {"--log": tmp_path / "log", "--log-seal": tmp_path / "seal", written: files[option]}
    words = ["serve", str(files.pop("MODEL")), "--port", "0"]
    for name, path in {**files, **own}.items():
        words += [name, str(path)]
    assert run(words) == 2
    assert f"error: {option}: expected another file than those of the log and its seal" in capsys.readouterr().err
    assert contents(tmp_path) == {}


def test_no_input_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe: expected a file, found a named pipe"):
        read_token_file(pipe)
    with pytest.raises(InputError, match=r"--tls-certificate .*pipe: expected a file, found a named pipe"):
        check_pair(pipe, pipe)
    with pytest.raises(InputError, match=r"certificates: .*pipe: expected a file, found a named pipe"):
        bl.RemoteBlackBox("https://127.0.0.1:9/v2/models/x", certificates=str(pipe))
    (tmp_path / "large").write_bytes(bytes(2**20 + 1))
    with pytest.raises(InputError, match="expected at most 1048576 bytes"):
        read_token_file(tmp_path / "large")


def test_a_file_that_the_disk_cannot_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class BadSectors(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    (tmp_path / "log").write_bytes(PRECIOUS)
    monkeypatch.setattr("bl_neuro.deploy.serve.paths.regular_file", lambda path: BadSectors())
    with pytest.raises(InputError, match=r"--log: .*log: expected a file that can be read \(Input/output error\)"):
        open_and_close(tmp_path / "log")
