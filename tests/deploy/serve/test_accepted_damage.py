"""The charges that can still be read from a damaged log count after the operator accepted the damage."""

from __future__ import annotations

import pkgutil
import shutil
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.deploy.serve.seal import Seal
from bl_neuro.errors import LogDamaged


def charge(ledger: Ledger, times: int) -> None:
    """Charges one query after the other."""
    for _ in range(times):
        ledger.charge([Charge("a", None, b"1", 1)])


def edited(path: Path, *commands: str) -> None:
    """Changes the database with SQL."""
    database = sqlite3.connect(path, isolation_level=None)
    for command in ("DROP TRIGGER no_update", "DROP TRIGGER no_delete", *commands):
        database.execute(command)
    database.close()


def killing_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but its n-th call ends the program."""
    calls = count(1)

    def called(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return called


@pytest.mark.parametrize(
    ("command", "spent"),
    [
        ("UPDATE queries SET at = at + 1 WHERE number = 10", 10),
        ("UPDATE queries SET cost = 2 WHERE number = 3", 11),
        ("UPDATE queries SET cost = -8 WHERE number = 3", 9),
        ("UPDATE queries SET cost = 9223372036854775807 WHERE number = 3", 2**31 + 9),
        ("UPDATE queries SET at = 'x', key = x'00' WHERE number = 3", 10),
        ("UPDATE queries SET client = x'ff' WHERE number = 3", 9),
        ("UPDATE queries SET client = CAST(x'6c6f636b6564ff' AS TEXT) WHERE number = 3", 9),  # "locked" and no UTF-8
        ("UPDATE queries SET digest = 7 WHERE number = 3", 9),
        ("DELETE FROM queries WHERE number = 1", 9),
        ("DELETE FROM queries WHERE number = 10", 9),
        ("DELETE FROM log", 10),
        ("DROP TABLE log", 10),
        ("UPDATE log SET served = 'networl'", 10),
        ("UPDATE log SET identity = 'x'", 10),
    ],
)
def test_the_entries_that_remain_count(command: str, spent: int, tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    for number in range(10):
        ledger.charge([Charge("a", f"key{number}", bytes([number]), 1)])
    ledger.close()
    edited(path, command)
    with pytest.raises(LogDamaged):
        Ledger(path, "network", 20)
    ledger = Ledger(path, "network", 20, accept_damage=True)
    assert ledger.spent("a") == spent
    assert ledger.accepted is not None
    assert "entries could be read and count" in ledger.accepted
    known = (
        Charged.BEFORE if "queries" in command or "identity" in command else Charged.NEW if spent < 20 else Charged.OVER
    )
    assert ledger.charge([Charge("a", "key4", bytes([4]), 1)]) == [known]
    ledger.close()
    again = Ledger(path, "network", 20)
    assert (again.spent("a"), again.accepted) == (spent + (known == Charged.NEW), None)
    again.close()


def test_entries_on_both_sides_of_a_damaged_page_count(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", None)
    charge(ledger, 400)
    ledger.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    ledger = Ledger(path, "network", 500, accept_damage=True)
    assert 300 < ledger.spent("a") < 400
    ledger.close()


@pytest.mark.parametrize("place", [36, 67])
def test_an_empty_log_with_a_damaged_header_is_written_anew(place: int, tmp_path: Path) -> None:
    """A server was killed, its journal was lost, and the header states free pages or an automatic vacuum."""
    path = tmp_path / "log"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA application_id={int.from_bytes(b'blnq', 'big')}")
    database.close()
    content = bytearray(path.read_bytes())
    content[place] = 1
    path.write_bytes(content)
    with pytest.raises(LogDamaged):
        Ledger(path, "network", 20)
    ledger = Ledger(path, "network", 20, accept_damage=True)
    assert ledger.accepted is not None
    assert "no entry could be read: all budgets restart" in ledger.accepted
    charge(ledger, 3)
    ledger.close()
    ledger = Ledger(path, "network", 20)
    assert ledger.spent("a") == 3
    ledger.close()


def test_a_log_in_a_damaged_journal_does_not_restart_without_a_word(tmp_path: Path) -> None:
    """The server was killed before SQLite copied any entry from its journal into the file, and the seal is lost."""
    (tmp_path / "killed").mkdir()
    path = tmp_path / "killed" / "log"
    ledger = Ledger(tmp_path / "log", "network", 20)
    charge(ledger, 3)
    for name in ("log", "log-wal"):
        shutil.copy(tmp_path / name, tmp_path / "killed")
    ledger.close()
    content = bytearray(path.with_name("log-wal").read_bytes())
    content[471] ^= 1
    path.with_name("log-wal").write_bytes(content)
    for _ in range(2):
        with pytest.raises(LogDamaged, match="its seal is missing"):
            Ledger(path, "network", 20)
    assert path.with_name("log-wal").read_bytes() == content
    ledger = Ledger(path, "network", 20, accept_damage=True)
    assert ledger.accepted == "its seal is missing; no entry could be read: all budgets restart"
    ledger.close()


def test_the_new_log_has_the_permissions_of_the_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    charge(ledger, 3)
    ledger.close()
    path.chmod(0o600)
    edited(path, "UPDATE queries SET cost = 2 WHERE number = 3")
    Ledger(path, "network", 20, accept_damage=True).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("bl_neuro.deploy.serve.rescue.connected", 1),
        ("bl_neuro.deploy.serve.rescue.create_tables", 1),
        ("bl_neuro.deploy.serve.rescue.keep_aside", 1),
        ("pathlib.Path.replace", 1),  # the damaged log
        ("bl_neuro.deploy.serve.opening.connected", 3),  # the new log, after two checks of the damaged one
        ("bl_neuro.deploy.serve.opening.keep_aside", 1),  # the seal
        ("bl_neuro.deploy.serve.opening.Seal", 1),
    ],
)
def test_a_kill_while_the_entries_are_rescued_loses_none(
    place: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    charge(ledger, 10)
    ledger.close()
    edited(path, "UPDATE queries SET cost = 2 WHERE number = 3")
    with monkeypatch.context() as killed:
        killed.setattr(place, killing_at(call, pkgutil.resolve_name(place)))
        with pytest.raises(KeyboardInterrupt):
            Ledger(path, "network", 20, accept_damage=True)
    with pytest.raises(LogDamaged):
        Ledger(path, "network", 20)
    ledger = Ledger(path, "network", 20, accept_damage=True)
    assert ledger.spent("a") == 11
    ledger.close()
    ledger = Ledger(path, "network", 20)
    assert ledger.spent("a") == 11
    ledger.close()
    assert not list(tmp_path.glob(".rescue-*"))


def test_a_seal_exists_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its seal, a log whose header is destroyed is taken for the file of another program."""
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    charge(ledger, 10)
    ledger.close()
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])
    with monkeypatch.context() as killed:
        killed.setattr("bl_neuro.deploy.serve.opening.Seal", killing_at(1, Seal))
        with pytest.raises(KeyboardInterrupt):
            Ledger(path, "network", 20, accept_damage=True)
    with pytest.raises(LogDamaged):
        Ledger(path, "network", 20)
    Ledger(path, "network", 20, accept_damage=True).close()
    Ledger(path, "network", 20).close()


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("byte", [68, 69, 70, 71])
def test_a_damaged_mark_of_the_program_is_repaired(byte: int, is_killed: bool, tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = Ledger(path, "network", 20)
    charge(ledger, 5)
    ledger.void([Charge("a", None, b"1", 2)])
    if is_killed:  # the tables are in the journal alone
        (tmp_path / "killed").mkdir()
        for file in (path, tmp_path / "log-wal", tmp_path / "log.seal"):
            shutil.copy(file, tmp_path / "killed")
    ledger.close()
    path = tmp_path / "killed" / "log" if is_killed else path
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
    if not is_killed:  # the journal has a copy of the header
        with pytest.raises(LogDamaged, match="its header was changed and does not mark it"):
            Ledger(path, "network", 20)
        ledger = Ledger(path, "network", 20, accept_damage=True)
        assert ledger.spent("a") == 3
        ledger.close()
    ledger = Ledger(path, "network", 20)
    assert ledger.spent("a") == 3
    ledger.close()
    assert path.read_bytes()[68:72] == b"blnq"
