"""The file of a query log: opening and creating it, its entries, and what counts as damage."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from bl_neuro.deploy.serve.paths import DATABASE_ENDINGS, LOCK, keep_aside, read_start
from bl_neuro.deploy.serve.seal import Mark, Seal, first_head, read_mark
from bl_neuro.errors import DataError, InputError, LogDamaged

_TABLES = """
CREATE TABLE IF NOT EXISTS log (identity TEXT NOT NULL, served TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    client TEXT NOT NULL,
    key TEXT,
    digest BLOB NOT NULL,
    cost INTEGER NOT NULL,
    chain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS keys ON queries (client, key) WHERE key IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
_APPLICATION = b"blnq"
"""Marks a database as a log of queries, from its creation on, in its header."""
_MAGIC, _HEADER_BYTES, _APPLICATION_AT = b"SQLite format 3\0", 100, slice(68, 72)
"""The start of every SQLite database, the size of its header, and the place of the application's mark in it."""
_DISK_FAILURES = ("disk is full", "disk I/O error", "unable to open", "readonly", "locked", "locking protocol")
"""Parts of SQLite's messages when the disk, not the content of the file, is the problem."""
_FULL_BYTES = 2**16
"""Free bytes below which a failure to write is put down to a full disk; SQLite often calls it an I/O error."""
_MOST_COST = 2**31
"""Largest cost of an entry that is read from a damaged log; SQLite sums up to 2^63."""
Entry = tuple[float, str, "str | None", bytes, int]
"""Time, client, idempotency key, hash of the query, and cost."""


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
            if database is not None:
                opened.callback(database.close)
            if accept_damage and accepted is None:
                raise InputError(f"--accept-log-damage: {path} is not damaged; leave this option out")
            with _seal_errors(seal, "written"):
                if accepted is not None:
                    keep_aside(seal)
                writer = Seal(seal, contents.mark)
            opened.callback(writer.close)
            if database is None:  # after the seal, which tells a later start of a log that was not written
                keep_aside(path, ("", *DATABASE_ENDINGS))
                database = _connected(path, is_new=True)
                opened.callback(database.close)
            _create(database, contents, served)
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
    except DataError as error:
        raise InputError(f"--log: {error}") from error
    if not header:
        return
    is_whole_database = header.startswith(_MAGIC) and len(header) == _HEADER_BYTES
    if is_whole_database and header[_APPLICATION_AT] != _APPLICATION:
        raise InputError(
            f"{path}: expected a log of queries or no file, found a database of another program; use another file with "
            "--log"
        )
    if not header.startswith(_MAGIC) and not seal.exists():
        raise InputError(
            f"{path}: expected a log of queries or no file, found another file; use another file with --log"
        )


def _locked(path: Path) -> FileLock:
    lock = FileLock(f"{path}{LOCK}")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{path}: another server writes to this log; use another file with --log") from error
    return lock


def _connected(path: Path, is_new: bool) -> sqlite3.Connection:
    """Opens the database for writing. is_new: whether to mark it as a log of queries."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        if is_new:
            database.execute(f"PRAGMA application_id={int.from_bytes(_APPLICATION, 'big')}")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
    except BaseException:
        database.close()
        raise
    return database


def _checked(path: Path, served: str, sealed: Mark | None, seal_needed: bool = True) -> _Contents:
    """The database, its mark and the queries by client. An empty log gets its tables later, after its seal.

    seal_needed: whether a log with entries is damaged if it has no seal.
    """
    entries = 0 if sealed is None else sealed.count
    is_new = _is_new(path, entries)
    with ExitStack() as opened:
        try:
            database = _connected(path, is_new)
            opened.callback(database.close)
            stored = _stored(database)
            if stored is None and entries:
                raise LogDamaged(f"the file is empty, and its seal counts {entries} entries")
            if stored is None:
                contents = _Contents(database, Mark.of_new_log(served), {})
            else:
                _need_served(path, stored[1], served)
                if sealed is None and seal_needed:
                    raise LogDamaged("its seal is missing")
                contents = _Contents(database, *read_entries(database, stored[0], served, sealed))
        except sqlite3.DatabaseError as error:
            if _is_disk_failure(error):
                raise
            raise LogDamaged(str(error)) from error
        opened.pop_all()
        return contents


def _need_served(path: Path, stored: str, served: str) -> None:
    if stored != served:
        raise InputError(
            f"{path}: this log belongs to another network, reveals or arithmetic (log: {stored}, server: {served}); "
            "use another file with --log"
        )


def _is_disk_failure(error: sqlite3.DatabaseError) -> bool:
    """Whether the disk, not the content of the file, is the problem."""
    return any(text in str(error) for text in _DISK_FAILURES)


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


def _stored(database: sqlite3.Connection) -> tuple[str, str] | None:
    """Identity and served model of the log, None if the database is empty."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if not {"log", "queries"} <= tables:
        raise sqlite3.DatabaseError("it has other tables")
    rows = database.execute("SELECT identity, served FROM log").fetchall()
    if len(rows) != 1:
        raise LogDamaged("its description is missing")
    return str(rows[0][0]), str(rows[0][1])


def read_entries(
    database: sqlite3.Connection, identity: str, served: str, sealed: Mark | None
) -> tuple[Mark, dict[str, int]]:
    """The mark of all entries, and the queries by client.

    Raises:
        LogDamaged: an entry is missing, was changed, or is not the one that was sealed.
    """
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise LogDamaged(f"the database is damaged ({str(verdict)[:100]})")
    if sealed is not None and sealed.identity != identity:
        raise LogDamaged("its seal belongs to another log")
    mark, spent = Mark(identity, 0, first_head(identity, served)), Counter[str]()
    if sealed is not None and sealed.count == 0 and sealed != mark:
        raise LogDamaged("its seal belongs to another served model")
    rows = database.execute("SELECT number, at, client, key, digest, cost, chain FROM queries ORDER BY number")
    for expected, (number, *entry, chain) in zip(numbers(1), rows):
        mark = _after(mark, entry)
        if number != expected or chain != mark.head:
            raise LogDamaged(f"entry {expected} was changed or is missing")
        if sealed is not None and sealed.count == mark.count and sealed.head != mark.head:
            raise LogDamaged(f"entry {expected} is not the one that was sealed")
        spent[entry[1]] += entry[4]
    if sealed is not None and sealed.count > mark.count:
        raise LogDamaged(f"its seal counts {sealed.count} entries, and the log has only {mark.count}")
    return mark, dict(spent)


def add_entry(database: sqlite3.Connection, mark: Mark, entry: Entry) -> Mark:
    """Adds an entry after those of `mark`, in the open transaction, and returns the next mark."""
    following = _after(mark, entry)
    database.execute("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?)", (following.count, *entry, following.head))
    return following


def _after(mark: Mark, entry: Any) -> Mark:
    """The mark after one more entry."""
    digest = hashlib.sha256(repr((mark.head, *entry)).encode()).hexdigest()
    return Mark(mark.identity, mark.count + 1, digest)


def _create(database: sqlite3.Connection, contents: _Contents, served: str) -> None:
    """Creates the tables of a new log, after its seal: a log without a seal counts as damaged."""
    database.executescript(f"BEGIN IMMEDIATE;{_TABLES}")
    if database.execute("SELECT COUNT(*) FROM log").fetchone() == (0,):
        identity = contents.mark.identity
        database.execute("INSERT INTO log VALUES (?, ?)", (identity, served))
        mark = Mark(identity, 0, first_head(identity, served))
        for entry in contents.entries:
            mark = add_entry(database, mark, entry)
    database.execute("COMMIT")


def _accepted(path: Path, served: str) -> _Contents:
    """A damaged log after the operator accepted it: the log if its entries are whole, otherwise those that remain."""
    try:
        return _checked(path, served, None, seal_needed=False)
    except LogDamaged:
        entries = _readable_entries(path, served)
    mark, spent = Mark.of_new_log(served), Counter[str]()
    for entry in entries:
        mark = _after(mark, entry)
        spent[entry[1]] += entry[4]
    return _Contents(None, mark, dict(spent), tuple(entries))


def _readable_entries(path: Path, served: str) -> list[Entry]:
    """The charges that can still be read from a damaged log, in their order, from both ends up to the damage.

    Refunds do not count, since the charge to which they belong may be lost. Without a description of the log, the keys
    do not count either: they may belong to another served model.
    """
    rows: dict[int, tuple[Any, ...]] = {}
    if not path.exists() or path.stat().st_size == 0:
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        database.text_factory = lambda text: text.decode(errors="replace")
        for order in ("ASC", "DESC"):
            query = f"SELECT number, at, client, key, digest, cost FROM queries NOT INDEXED ORDER BY number {order}"
            try:
                for number, *row in database.execute(query):
                    if number in rows:
                        break
                    rows[number] = tuple(row)
            except sqlite3.DatabaseError as error:
                if _is_disk_failure(error):
                    raise
        try:
            stored = _stored(database)
        except (sqlite3.DatabaseError, LogDamaged):
            stored = None
    keyed = stored is not None and stored[1] == served
    entries = (_entry(*rows[number], keyed=keyed) for number in sorted(rows))
    return [entry for entry in entries if entry is not None]


def _entry(at: Any, client: Any, key: Any, digest: Any, cost: Any, *, keyed: bool) -> Entry | None:
    """An entry of a damaged log, None if it is not a charge."""
    if not isinstance(client, str) or not isinstance(digest, bytes) or not isinstance(cost, int) or cost <= 0:
        return None
    time = float(at) if isinstance(at, (int, float)) else 0.0
    return time, client, key if keyed and isinstance(key, str) else None, digest, min(cost, _MOST_COST)


def _reason_and_space(path: Path, error: Exception) -> str:
    """Why `path` cannot be written, and how many bytes are free on its disk."""
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    reason = "the disk is full" if free < _FULL_BYTES else _reason(error)
    return f"{reason}; {free} bytes are free on the disk of {folder}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
