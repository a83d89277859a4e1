"""The database of a query log: its tables and entries, and what counts as damage of them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from itertools import count as numbers
from pathlib import Path
from typing import Any

from bl_neuro.deploy.serve.seal import Mark, first_head
from bl_neuro.errors import LogDamaged

_QUERIES = """queries (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    client TEXT NOT NULL,
    key TEXT,
    digest BLOB NOT NULL,
    cost INTEGER NOT NULL,
    chain TEXT NOT NULL
)"""
_TABLES = f"""
CREATE TABLE IF NOT EXISTS log (identity TEXT NOT NULL, served TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {_QUERIES};
CREATE INDEX IF NOT EXISTS keys ON queries (client, key) WHERE key IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
QUERIES_TABLE = f"CREATE TABLE {_QUERIES}".encode()
"""The definition of the table of entries, as SQLite stores it in the file."""
APPLICATION = b"blnq"
"""Marks a database as a log of queries, from its creation on, in its header."""
_DISK_FAILURES = (
    "database or disk is full", "disk I/O error", "unable to open", "attempt to write a readonly", "database is locked",
    "database table is locked", "database schema is locked", "locking protocol",
)  # fmt: skip
"""Starts of SQLite's messages when the disk, not the content of the file, is the problem; others may quote the file."""
Entry = tuple[float, str, "str | None", bytes, int]
"""Time, client, idempotency key, hash of the query, and cost."""


def connected(path: Path, is_new: bool) -> sqlite3.Connection:
    """Opens the database for writing. is_new: whether to mark it as a log of queries."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        if is_new:
            mark_as_log(database)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
    except BaseException:
        database.close()
        raise
    return database


def mark_as_log(database: sqlite3.Connection) -> None:
    """Writes into the header that the database is a log of queries."""
    database.execute(f"PRAGMA application_id={int.from_bytes(APPLICATION, 'big')}")


def is_marked(database: sqlite3.Connection) -> bool:
    """Whether the header says that the database is a log of queries."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    return bool(application == int.from_bytes(APPLICATION, "big"))


def is_disk_failure(error: sqlite3.DatabaseError) -> bool:
    """Whether the disk, not the content of the file, is the problem."""
    return str(error).startswith(_DISK_FAILURES)


def read_description(database: sqlite3.Connection) -> tuple[str, str] | None:
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


def need_integrity(database: sqlite3.Connection) -> None:
    """Raises LogDamaged if SQLite finds damage in the database."""
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise LogDamaged(f"the database is damaged ({' '.join(str(verdict).split())[:100]})")


def need_own_description(database: sqlite3.Connection, identity: str, served: str) -> None:
    """Raises LogDamaged if the first entry does not follow from this description, which was changed then."""
    first = database.execute("SELECT at, client, key, digest, cost, chain FROM queries WHERE number = 1").fetchone()
    if first is not None and next_mark(Mark(identity, 0, first_head(identity, served)), first[:-1]).head != first[-1]:
        raise LogDamaged("its description or entry 1 was changed")


def read_entries(
    database: sqlite3.Connection, identity: str, served: str, sealed: Mark | None
) -> tuple[Mark, dict[str, int]]:
    """The mark of all entries, and the queries by client.

    Raises:
        LogDamaged: an entry is missing, was changed, or is not the one that was sealed.
    """
    need_integrity(database)
    if sealed is not None and sealed.identity != identity:
        raise LogDamaged("its seal belongs to another log")
    mark, spent = Mark(identity, 0, first_head(identity, served)), Counter[str]()
    if sealed is not None and sealed.count == 0 and sealed != mark:
        raise LogDamaged("its seal belongs to another served model")
    rows = database.execute("SELECT number, at, client, key, digest, cost, chain FROM queries ORDER BY number")
    for expected, (number, *entry, chain) in zip(numbers(1), rows):
        mark = next_mark(mark, entry)
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
    following = next_mark(mark, entry)
    database.execute("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?)", (following.count, *entry, following.head))
    return following


def next_mark(mark: Mark, entry: Any) -> Mark:
    """The mark after one more entry."""
    digest = hashlib.sha256(repr((mark.head, *entry)).encode()).hexdigest()
    return Mark(mark.identity, mark.count + 1, digest)


def create_tables(database: sqlite3.Connection, identity: str, served: str, entries: Sequence[Entry] = ()) -> None:
    """Creates the tables of a new log with these entries, unless the database has them."""
    database.executescript(f"BEGIN IMMEDIATE;{_TABLES}")
    if database.execute("SELECT COUNT(*) FROM log").fetchone() == (0,):
        database.execute("INSERT INTO log VALUES (?, ?)", (identity, served))
        mark = Mark(identity, 0, first_head(identity, served))
        for entry in entries:
            mark = add_entry(database, mark, entry)
    database.execute("COMMIT")
