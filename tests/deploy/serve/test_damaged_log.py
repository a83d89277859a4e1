"""A log of queries that lost or changed entries is noticed, at the start and while the server runs."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.errors import BudgetExceeded, EndpointRefused, InputError, LogDamaged

FILES = ("log", "log-wal", "log.seal")


def charge(ledger: Ledger, times: int, client: str = "a") -> list[Charged]:
    """Charges one query after the other."""
    return [ledger.charge([Charge(client, None, b"1", 1)])[0] for _ in range(times)]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A log of five queries, as a SIGKILL leaves it: its last entries are in the journal alone."""
    folder = tmp_path / "killed"
    folder.mkdir()
    ledger = Ledger(tmp_path / "log", "network", 20)
    charge(ledger, 5)
    for name in FILES:
        shutil.copy(tmp_path / name, folder / name)
    ledger.close()
    return folder / "log"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    path.unlink()
    other = Ledger(path.parent / "other", "network", 20)
    charge(other, 9)
    other.close()
    shutil.copy(path.parent / path.name.replace("log", "other"), path)


def test_a_kill_loses_nothing(killed: Path) -> None:
    ledger = Ledger(killed, "network", 20)
    assert ledger.spent("a") == 5
    assert charge(ledger, 16) == [Charged.NEW] * 15 + [Charged.OVER]
    ledger.close()


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("log", Path.unlink, "the file is missing, and its seal counts 5 entries"),
        ("log", empty, "the file is empty, and its seal counts 5 entries"),
        ("log-wal", Path.unlink, "has only 0|the file is empty"),
        ("log-wal", cut, "its seal counts 5 entries, and the log has only 4"),
        ("log-wal", flip, "its seal counts 5 entries, and the log has only 4"),
        ("log.seal", Path.unlink, "its seal is missing"),
        ("log.seal", cut, "seal .* is damaged"),
        ("log.seal", flip, "seal .* is damaged"),
        ("log.seal", swap, "its seal belongs to another log"),
    ],
)
def test_damage_is_noticed_at_the_start(name: str, change: Callable[[Path], Any], reason: str, killed: Path) -> None:
    change(killed.with_name(name))
    for _ in range(2):  # a refused start does not repair anything
        with pytest.raises(LogDamaged, match=f"{reason}.*give --accept-log-damage once"):
            Ledger(killed, "network", 20)


def test_a_changed_an_exchanged_and_an_older_database_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    charge(ledger, 3)
    ledger.close()
    shutil.copy(path, tmp_path / "older")
    ledger = Ledger(path, "network", 20)
    charge(ledger, 3)
    ledger.close()
    shutil.copy(path, tmp_path / "whole")
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("DROP TRIGGER no_update")
    base.execute("UPDATE queries SET cost = 0 WHERE number = 2")
    base.close()
    with pytest.raises(LogDamaged, match="entry 2 was changed"):
        Ledger(path, "network", 20)
    shutil.copy(tmp_path / "older", path)
    with pytest.raises(LogDamaged, match="seal counts 6 entries, and the log has only 3"):
        Ledger(path, "network", 20)
    other = Ledger(tmp_path / "other", "network", 20)
    charge(other, 9)
    other.close()
    shutil.copy(tmp_path / "other", path)
    with pytest.raises(LogDamaged, match="belongs to another log"):
        Ledger(path, "network", 20)
    shutil.copy(tmp_path / "whole", path)
    ledger = Ledger(path, "network", 20)
    assert ledger.spent("a") == 6
    ledger.close()


@pytest.mark.parametrize(
    ("action", "name"),
    [
        *((action, name) for action in ("delete", "rename", "replace") for name in FILES),
        ("cut", "log"),  # a journal that was cut is written anew or noticed at the next start
        ("cut", "log.seal"),
    ],
)
def test_damage_is_noticed_while_the_server_runs(action: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    ledger = Ledger(tmp_path / "log", "network", 20)
    charge(ledger, 5)
    if action == "delete":
        path.unlink()
    elif action == "rename":
        path.rename(tmp_path / "elsewhere")
    elif action == "replace":
        shutil.copy(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
    else:
        cut(path)
    for _ in range(2):
        with pytest.raises(LogDamaged, match=r"deleted, renamed or replaced|was cut from|was changed by another"):
            charge(ledger, 1)
    assert ledger.damage is not None
    ledger.close()


def test_a_log_deleted_with_its_seal_while_the_server_runs_is_refused_at_the_next_start(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", 20)
    charge(ledger, 5)
    for file in tmp_path.iterdir():
        file.unlink()
    ledger.close()  # notices it, although nobody asked
    with pytest.raises(LogDamaged, match="the file is missing, and its seal counts 5 entries"):
        Ledger(tmp_path / "log", "network", 20)


def test_a_seal_elsewhere_notices_that_the_whole_folder_was_restored(tmp_path: Path) -> None:
    path, seal = tmp_path / "here" / "log", tmp_path / "there" / "seal"
    ledger = Ledger(path, "network", 20, seal)
    charge(ledger, 5)
    shutil.copytree(path.parent, tmp_path / "older")
    charge(ledger, 5)
    ledger.close()
    shutil.rmtree(path.parent)
    with pytest.raises(LogDamaged, match="the file is missing"):
        Ledger(path, "network", 20, seal)
    shutil.rmtree(path.parent)
    shutil.copytree(tmp_path / "older", path.parent)
    with pytest.raises(LogDamaged, match="seal counts 10 entries, and the log has only 5"):
        Ledger(path, "network", 20, seal)


def test_the_operator_continues_with_what_is_left(killed: Path) -> None:
    cut(killed.with_name("log-wal"))
    ledger = Ledger(killed, "network", 20, accept_damage=True)
    assert ledger.accepted is not None
    assert "seal counts 5 entries" in ledger.accepted
    assert ledger.spent("a") == 4
    charge(ledger, 1)
    ledger.close()
    with pytest.raises(InputError, match=r"--accept-log-damage: .* is not damaged; leave this option out"):
        Ledger(killed, "network", 20, accept_damage=True)
    again = Ledger(killed, "network", 20)
    assert (again.spent("a"), again.accepted) == (5, None)
    again.close()


def test_a_log_that_cannot_be_read_is_kept_beside_the_new_one(killed: Path) -> None:
    for name in FILES[:2]:
        killed.with_name(name).write_bytes(b"nothing that SQLite reads" * 400)
    ledger = Ledger(killed, "network", 20, accept_damage=True)
    assert ledger.spent("a") == 0
    charge(ledger, 1)
    ledger.close()
    assert killed.with_name("log.damaged-1").read_bytes().startswith(b"nothing")
    again = Ledger(killed, "network", 20)
    assert again.spent("a") == 1
    again.close()


DISK_FAILURES = ("database or disk is full", "disk I/O error", "database is locked")


@pytest.mark.parametrize("failure", DISK_FAILURES)
def test_an_intact_log_stays_where_it_is_if_the_disk_fails(
    failure: str, killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise sqlite3.OperationalError(failure)

    cut(killed.with_name("log.seal"))
    with monkeypatch.context() as failing:
        failing.setattr("bl_neuro.deploy.serve.opening.read_entries", fail)
        with pytest.raises(InputError, match=f"the log of queries cannot be written: {failure}"):
            Ledger(killed, "network", 20, accept_damage=True)
    assert not killed.with_name("log.damaged-1").exists()
    ledger = Ledger(killed, "network", 20, accept_damage=True)
    assert ledger.spent("a") == 5
    ledger.close()


@pytest.mark.parametrize("change", [cut, flip, Path.unlink])
def test_the_log_of_another_network_stays_where_it_is(change: Callable[[Path], Any], killed: Path) -> None:
    change(killed.with_name("log.seal"))
    with pytest.raises(InputError, match="this log belongs to another network"):
        Ledger(killed, "another network", 20, accept_damage=True)
    assert not killed.with_name("log.damaged-1").exists()
    ledger = Ledger(killed, "network", 20, accept_damage=True)
    assert ledger.spent("a") == 5
    ledger.close()


def test_a_missing_log_is_not_kept_as_an_empty_one(killed: Path) -> None:
    killed.unlink()
    ledger = Ledger(killed, "network", 20, accept_damage=True)
    reason = "the file is missing, and its seal counts 5 entries; no entry could be read: all budgets restart"
    assert (ledger.spent("a"), ledger.accepted) == (0, reason)
    ledger.close()
    assert not killed.with_name("log.damaged-1").exists()


def test_a_seal_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    with pytest.raises(InputError, match=r"--log-seal: .*folder: expected a regular file .* found a folder"):
        Ledger(tmp_path / "log", "network", 20, folder)
    with pytest.raises(InputError, match=r"file/seal: the seal of .* cannot be written: .* bytes are .*--log-seal"):
        Ledger(tmp_path / "log", "network", 20, file / "seal")


def fail_to_sync(file: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_seal_that_cannot_be_written_to_disk_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage: list[str] = []
    others = threading.enumerate()
    ledger = Ledger(tmp_path / "log", "network", 20, on_damage=damage.append)
    (writer,) = (thread for thread in threading.enumerate() if thread.name == "seal" and thread not in others)
    monkeypatch.setattr("bl_neuro.deploy.serve.seal.SYNC_S", 0.0)
    monkeypatch.setattr("os.fsync", fail_to_sync)
    charge(ledger, 1)
    writer.join(20)
    for _ in range(2):
        with pytest.raises(LogDamaged, match=r"the seal .*log\.seal cannot be written: Input/output error"):
            charge(ledger, 1)
    ledger.close()
    assert len(damage) == 1


def test_damage_discovered_at_the_end_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage: list[str] = []
    for name, reason in (("one", "was deleted"), ("two", "cannot be checked"), ("three", "cannot be written")):
        ledger = Ledger(tmp_path / name, "network", 20, on_damage=damage.append)
        charge(ledger, 1)
        with monkeypatch.context() as failing:
            if name == "one":
                (tmp_path / name).unlink()
            elif name == "two":
                failing.setattr("os.pread", lambda *arguments: fail_to_sync(0))
            else:
                failing.setattr("os.fsync", fail_to_sync)
            ledger.close()
        assert reason in damage.pop()
        assert not damage


FULL_DISK = """
import sys
from pathlib import Path
from bl_neuro.deploy.serve.ledger import Ledger
from bl_neuro.errors import InputError
disk = Path(sys.argv[1])
try:
    (disk / "filler").write_bytes(bytes(2**20))
except OSError:
    pass
for path in (disk / "log", disk / "folder" / "log"):
    try:
        Ledger(path, "network", 20)
    except InputError as error:
        print(type(error).__name__, error)
(disk / "filler").unlink()
Ledger(disk / "log", "network", 20).close()
print("opened")
"""


@pytest.mark.slow
def test_a_full_disk_at_the_start_is_named(tmp_path: Path, in_mount_namespace: Any) -> None:
    mount = f"mount -t tmpfs -o size=256k tmpfs {shlex.quote(str(tmp_path))}"
    ended = in_mount_namespace(mount, sys.executable, "-c", FULL_DISK, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    *refusals, opened = ended.stdout.splitlines()
    assert (len(refusals), opened) == (2, "opened")
    for refusal in refusals:
        assert refusal.startswith("InputError")
        assert "cannot be written: the disk is full; 0 bytes are free on the disk of" in refusal


@pytest.mark.slow
def test_a_server_logs_damage_that_it_discovers_at_its_end(easy: bl.Network, start: Any, tmp_path: Path) -> None:
    server = start(easy, "--budget", "20")
    (tmp_path / "queries.sqlite").unlink()
    assert server.end() == 0
    assert any('"event": "log_damaged"' in line and "deleted" in line for line in server.lines)


@pytest.mark.slow
def test_a_server_whose_log_is_deleted_answers_nothing_more(easy: bl.Network, start: Any, tmp_path: Path) -> None:
    server = start(easy, "--budget", "20")
    box = server.box()
    box.query(torch.ones(2, 16, 12))
    (tmp_path / "queries.sqlite").unlink()
    with pytest.raises(EndpointRefused, match="the log of queries was damaged") as raised:
        box.query(torch.ones(2, 1, 12))
    assert raised.value.code == "log_damaged"
    with pytest.raises(EndpointRefused, match="the log of queries was damaged"):
        box.query(torch.ones(2, 1, 12))
    assert server.end() == 0
    events = [line for line in server.lines if '"event": "log_damaged"' in line]
    assert len(events) == 1
    assert "deleted, renamed or replaced" in events[0]
    with pytest.raises(AssertionError, match="seal counts 1 entries"):
        start(easy, "--budget", "20")
    accepted = start(easy, "--budget", "20", "--accept-log-damage")
    assert any("log_damage_accepted" in line for line in accepted.lines)
    with pytest.raises(BudgetExceeded):
        accepted.box(budget=100).query(torch.ones(2, 21, 12))
