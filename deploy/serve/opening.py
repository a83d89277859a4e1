"""Opening and creating a query log: the log and its seal are checked, and damage is refused or accepted."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from bl_neuro.deploy.serve.entries import (
    APPLICATION,
    QUERIES_TABLE,
    Entry,
    connected,
    create_tables,
    is_disk_failure,
    is_marked,
    mark_as_log,
    need_integrity,
    need_own_description,
    next_mark,
    read_description,
    read_entries,
)
from bl_neuro.deploy.serve.paths import DATABASE_ENDINGS, LOCK, keep_aside, read_start
from bl_neuro.deploy.serve.rescue import readable_entries, replace_log
from bl_neuro.deploy.serve.seal import Mark, Seal, read_mark
from bl_neuro.errors import DataError, InputError, LogDamaged

_MAGIC, _HEADER_BYTES, _APPLICATION_AT = b"SQLite format 3\0", 100, slice(68, 72)
"""The start of every SQLite database, the size of its header, and the place of the application's mark in it."""
_SCHEMA_BYTES = 2**16
"""Bytes at the start of a log, or of its journal, that contain the definitions of its tables."""
_FULL_BYTES = 2**16
"""Free bytes below which a failure to write is put down to a full disk; SQLite often calls it an I/O error."""


@dataclass(frozen=True)
class OpenedLog:
    """A log that is open for writing. spent: queries by client. accepted: the damage with which it continues."""

    database: sqlite3.Connection
    mark: Mark
    seal: Seal
    spent: dict[str, int]
    lock: FileLock
    accepted: str | None

    def close(self) -> None:
        """Closes the files and releases the lock."""
        try:
            with suppress(sqlite3.Error):  # the file was deleted or damaged while it was open
                self.database.close()
            self.seal.close()
        finally:
            self.lock.release()


@dataclass(frozen=True)
class _Contents:
    """A checked log. database: None if the log is damaged and has to be written anew from `entries`."""

    database: sqlite3.Connection | None
    mark: Mark
    spent: dict[str, int]
    entries: tuple[Entry, ...] = ()


def open_log(path: Path, seal: Path, served: str, accept_damage: bool) -> OpenedLog:
    """Opens the log at `path`, or creates it. The parameters and errors are those of `Ledger`."""
    _need_log_or_free(path, seal)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _seal_errors(seal, "written"):
            seal.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            lock = _locked(path)
            opened.callback(lock.release)
            contents, accepted = _read(path, seal, served, accept_damage)
            database = contents.database
            if database is None:  # before its seal: with the old one, a start after a kill is refused
                replace_log(path, contents.mark.identity, served, contents.entries)
                database = connected(path, is_new=False)
            opened.callback(database.close)
            if accept_damage and accepted is None:
                raise InputError(f"--accept-log-damage: {path} is not damaged; leave this option out")
            with _seal_errors(seal, "written"):
                if accepted is not None:
                    keep_aside(seal)
                writer = Seal(seal, contents.mark)
            opened.callback(writer.close)
            create_tables(database, contents.mark.identity, served)  # after the seal: without one, a log is damaged
            opened.pop_all()
            return OpenedLog(database, contents.mark, writer, contents.spent, lock, accepted)
    except (OSError, sqlite3.OperationalError) as error:
        raise InputError(
            f"{path}: the log of queries cannot be written: {_reason_and_space(path, error)}: make room there, or use "
            "another file with --log"
        ) from error


def _read(path: Path, seal: Path, served: str, accept_damage: bool) -> tuple[_Contents, str | None]:
    """The contents of the log, and its damage with what remains of it, None if it is whole."""
    try:
        with _seal_errors(seal, "read"):
            sealed = read_mark(seal)
        return _checked(path, served, sealed), None
    except LogDamaged as damage:
        if not accept_damage:
            raise LogDamaged(f"{path}: {damage}; {_ADVICE}") from damage
        contents = _accepted(path, served)
        count = contents.mark.count
        remains = f"{count} entries could be read and count" if count else "no entry could be read: all budgets restart"
        return contents, f"{damage}; {remains}"


@contextmanager
def _seal_errors(seal: Path, operation: Literal["read", "written"]) -> Iterator[None]:
    """Raises InputError, with the path of the seal, for an OSError or a DataError in the block."""
    try:
        yield
    except (OSError, DataError) as error:
        if operation == "read":
            problem = f"{_reason(error)}; make it readable, or state the path of the seal with --log-seal"
        else:
            problem = (
                f"{_reason_and_space(seal, error)}: make room there, or keep the seal in another folder with --log-seal"
            )
        raise InputError(f"{seal}: the seal of the log of queries cannot be {operation}: {problem}") from error


_ADVICE = (
    "budgets cannot be enforced from it, so nothing is answered. Restore the newest copy, use another file with --log, "
    "or give --accept-log-damage once to continue with the entries that remain"
)


def _need_log_or_free(path: Path, seal: Path) -> None:
    """Checks, before anything is created or changed, that the files are a log and a seal, or free names.

    Raises:
        InputError: a file is of another program or cannot be read.
    """
    with _seal_errors(seal, "read"), suppress(LogDamaged):  # damage is judged later, under the lock
        read_mark(seal)
    try:
        header = read_start(path, _HEADER_BYTES)
        is_database = header is not None and header.startswith(_MAGIC)
        if not header or (is_database and (len(header) < _HEADER_BYTES or header[_APPLICATION_AT] == APPLICATION)):
            return
        if seal.exists() and (not is_database or _has_queries(path)):  # a damaged log
            return
    except DataError as error:
        raise InputError(f"--log: {error}") from error
    kind = "a database of another program" if is_database else "another file"
    raise InputError(f"{path}: expected a log of queries or no file, found {kind}; use another file with --log")


def _has_queries(path: Path) -> bool:
    """Whether a database has the table of a log. It is not opened, since SQLite might change it."""
    starts = (read_start(Path(f"{path}{ending}"), _SCHEMA_BYTES) for ending in ("", "-wal"))
    return any(QUERIES_TABLE in start for start in starts if start is not None)


def _locked(path: Path) -> FileLock:
    lock = FileLock(f"{path}{LOCK}")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{path}: another server writes to this log; use another file with --log") from error
    return lock


def _checked(path: Path, served: str, sealed: Mark | None, is_accepted: bool = False) -> _Contents:
    """The database, its mark and the queries by client. An empty log gets its tables later, after its seal.

    is_accepted: whether the operator accepted damage; then the seal may be missing, and the header is repaired.
    """
    entries = 0 if sealed is None else sealed.count
    is_new = _is_new(path, entries)
    journal = Path(f"{path}-wal")
    if sealed is None and not is_accepted and journal.exists() and journal.stat().st_size > 0:
        raise LogDamaged("its seal is missing")  # before SQLite deletes a damaged journal, which may be all of the log
    with ExitStack() as opened:
        try:
            database = connected(path, is_new)
            opened.callback(database.close)
            description = read_description(database)
            if description is None and entries:
                raise LogDamaged(f"the file is empty, and its seal counts {entries} entries")
            if description is None:
                need_integrity(database)
                contents = _Contents(database, Mark.of_new_log(served), {})
            else:
                need_own_description(database, *description)
                _need_served(path, description[1], served)
                if sealed is None and not is_accepted:
                    raise LogDamaged("its seal is missing")
                if not is_marked(database) and not is_accepted:
                    raise LogDamaged("its header was changed and does not mark it as a log of queries")
                contents = _Contents(database, *read_entries(database, description[0], served, sealed))
                if not is_marked(database):
                    mark_as_log(database)
        except sqlite3.DatabaseError as error:
            if is_disk_failure(error):
                raise
            raise LogDamaged(str(error)) from error
        opened.pop_all()
        return contents


def _need_served(path: Path, description: str, served: str) -> None:
    if description != served:
        raise InputError(
            f"{path}: this log belongs to another network, reveals or arithmetic (log: {description}, server: "
            f"{served}); use another file with --log"
        )


def _is_new(path: Path, entries: int) -> bool:
    """Whether there is no log, or an empty file. entries: their number according to the seal.

    Raises:
        LogDamaged: there was a log, according to its seal or to the files beside it, which SQLite would delete.
    """
    if path.exists() and path.stat().st_size > 0:
        return False
    if entries:
        kind = "empty" if path.exists() else "missing"
        raise LogDamaged(f"the file is {kind}, and its seal counts {entries} entries")
    endings = DATABASE_ENDINGS[:2] if path.exists() else DATABASE_ENDINGS  # a kill may leave an empty file and -journal
    remaining = [f"{path}{ending}" for ending in endings if Path(f"{path}{ending}").exists()]
    if remaining:
        raise LogDamaged(f"the file is missing or empty, but {remaining[0]}, which belongs to it, exists")
    return True


def _accepted(path: Path, served: str) -> _Contents:
    """A damaged log after the operator accepted it: the log if its entries are whole, otherwise those that remain."""
    try:
        return _checked(path, served, None, is_accepted=True)
    except LogDamaged:
        entries = readable_entries(path, served)
    mark, spent = Mark.of_new_log(served), Counter[str]()
    for entry in entries:
        mark = next_mark(mark, entry)
        spent[entry[1]] += entry[4]
    return _Contents(None, mark, dict(spent), tuple(entries))


def _reason_and_space(path: Path, error: Exception) -> str:
    """Why `path` cannot be written, and how many bytes are free on its disk."""
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    reason = "the disk is full" if free < _FULL_BYTES else _reason(error)
    return f"{reason}; {free} bytes are free on the disk of {folder}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
