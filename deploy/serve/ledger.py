"""What every client has spent: an append-only log in SQLite, on the disk before an answer leaves.

A kill loses nothing that was answered. A query that was charged and whose answer was lost is asked again, under its
idempotency key, at no charge: what is served is deterministic, so its answer says nothing new. A log therefore belongs
to one network, one view of it and one arithmetic: with another, an old key would buy something new.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from filelock import FileLock, Timeout

from bl_neuro.errors import InputError

_TABLES = """
CREATE TABLE IF NOT EXISTS model (served TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    client TEXT NOT NULL,
    key TEXT,
    digest BLOB NOT NULL,
    cost INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS keys ON queries (client, key) WHERE key IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON queries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


class Charged(Enum):
    """What became of a charge."""

    NEW = "charged now"
    BEFORE = "charged before, under this key"
    OVER = "over budget: not charged"
    ANOTHER = "this key was used for another query: not charged"


@dataclass(frozen=True)
class Charge:
    """One request. key: its idempotency key. digest: of what it asks. cost: its samples."""

    client: str
    key: str | None
    digest: bytes
    cost: int


class Ledger:
    """The log at `path` of what is `served`; `budget` is what each client may spend, None for no limit.

    Raises:
        InputError: the file is of something else that was served, is no such log, or another server writes to it.
    """

    def __init__(self, path: Path, served: str, budget: int | None) -> None:
        path = path.resolve()  # a link to the log is the same log, and its lock the same lock
        self._budget = budget
        self._mutex = threading.Lock()
        self._disk = ThreadPoolExecutor(1, "log of queries")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{path}: another server writes to this log; give each its own with --log") from error
        try:
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._set_up(path, served)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise InputError(f"{path}: expected a log of queries or nothing, found another file ({error})") from error
        except BaseException:
            self._lock.release()
            raise

    def _set_up(self, path: Path, served: str) -> None:
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_TABLES)
        known = self._base.execute("SELECT served FROM model").fetchone()
        if known is None:
            self._base.execute("INSERT INTO model VALUES (?)", (served,))
        elif known[0] != served:
            raise InputError(
                f"{path}: this log is of another network, view or arithmetic ({known[0]}; to be served: {served}); "
                "give this one its own with --log"
            )
        self._read_spent()

    def _read_spent(self) -> None:
        rows = self._base.execute("SELECT client, SUM(cost) FROM queries GROUP BY client")
        self._spent: dict[str, int] = {client: int(cost) for client, cost in rows}
        self._seen = self._version()

    def _version(self) -> int:
        """Changes where somebody else wrote to the file."""
        return int(self._base.execute("PRAGMA data_version").fetchone()[0])

    def charge(self, charges: Sequence[Charge]) -> list[Charged]:
        """Charges each in its order, in one transaction that is on the disk when this returns; sqlite3.Error if not."""
        with self.charging(charges) as found:
            return found

    @contextmanager
    def charging(self, charges: Sequence[Charge]) -> Iterator[list[Charged]]:
        """Charges each in its order, in one transaction that goes to the disk while the block runs.

        Where the block ends it is there, or sqlite3.Error is raised and nothing is charged: until then no answer may
        leave.
        """
        with self._transaction():
            spent = dict(self._spent)
            found = [self._charge(charge, spent) for charge in charges]
            written = self._disk.submit(self._base.execute, "COMMIT")
            try:
                yield found
            finally:
                written.result()
                self._spent = spent

    def void(self, charges: Sequence[Charge]) -> None:
        """Gives back what was charged and never answered, since the substrate failed."""
        if not charges:
            return
        with self._transaction():
            for charge in charges:
                self._write(charge, -charge.cost)
            self._base.execute("COMMIT")
            for charge in charges:
                self._spent[charge.client] -= charge.cost

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """For the block to commit; else it is taken back."""
        with self._mutex:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                if self._version() != self._seen:
                    self._read_spent()
                yield
            finally:
                if self._base.in_transaction:  # it was not committed, nor ended by a full disk
                    self._base.execute("ROLLBACK")

    def spent(self, client: str) -> int:
        """Queries that `client` has spent."""
        return self._spent.get(client, 0)

    def remaining(self, client: str) -> int | None:
        """Queries that `client` may still spend; None for no limit."""
        return None if self._budget is None else max(0, self._budget - self.spent(client))

    def close(self) -> None:
        """Closes the file, for another server to open."""
        with self._mutex:
            self._disk.shutdown()
            self._base.close()
            self._lock.release()

    def _charge(self, charge: Charge, spent: dict[str, int]) -> Charged:
        if charge.key is not None:
            before = self._base.execute(
                "SELECT SUM(cost), MIN(digest), MAX(digest) FROM queries WHERE client = ? AND key = ?",
                (charge.client, charge.key),
            ).fetchone()
            if before[0] is not None and before[1:] != (charge.digest, charge.digest):
                return Charged.ANOTHER
            if before[0]:
                return Charged.BEFORE
        total = spent.get(charge.client, 0) + charge.cost
        if self._budget is not None and total > self._budget:
            return Charged.OVER
        self._write(charge, charge.cost)
        spent[charge.client] = total
        return Charged.NEW

    def _write(self, charge: Charge, cost: int) -> None:
        self._base.execute(
            "INSERT INTO queries (at, client, key, digest, cost) VALUES (?, ?, ?, ?, ?)",
            (time.time(), charge.client, charge.key, charge.digest, cost),
        )
