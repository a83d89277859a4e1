"""The query budget of every client: an append-only log in SQLite, written to disk before an answer is sent.

Killing the server loses no charge of an answered query. A query whose answer was lost can be repeated under its
idempotency key at no charge: the served model is deterministic, so the repeated answer reveals nothing new. A log
therefore belongs to one network, one value of `reveals` and one arithmetic; with another, an old key would reveal new
information.
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
    """Outcome of a charge."""

    NEW = "charged now"
    BEFORE = "charged before, under this key"
    OVER = "over budget: not charged"
    ANOTHER = "this key was used for another query: not charged"


@dataclass(frozen=True)
class Charge:
    """The charge of one request.

    key: its idempotency key, if any. digest: hash of the query. cost: number of samples.
    """

    client: str
    key: str | None
    digest: bytes
    cost: int


class Ledger:
    """The query log at `path`.

    served: identifies the network, `reveals` and arithmetic. budget: queries of each client, None for no limit.

    Raises:
        InputError: the file belongs to another served model, is not a query log, or another server writes to it.
    """

    def __init__(self, path: Path, served: str, budget: int | None) -> None:
        path = path.resolve()  # so that a symbolic link to the log uses the same lock
        self._budget = budget
        self._mutex = threading.Lock()
        self._disk = ThreadPoolExecutor(1, "log of queries")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{path}: another server writes to this log; use another file with --log") from error
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._set_up(path, served)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise InputError(f"{path}: expected a log of queries or no file, found another file ({error})") from error
        except BaseException:
            self._lock.release()
            raise

    def _set_up(self, path: Path, served: str) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_TABLES)
        stored = self._database.execute("SELECT served FROM model").fetchone()
        if stored is None:
            self._database.execute("INSERT INTO model VALUES (?)", (served,))
        elif stored[0] != served:
            raise InputError(
                f"{path}: this log belongs to another network, reveals or arithmetic (log: {stored[0]}, server: "
                f"{served}); use another file with --log"
            )
        self._read_spent()

    def _read_spent(self) -> None:
        rows = self._database.execute("SELECT client, SUM(cost) FROM queries GROUP BY client")
        self._spent: dict[str, int] = {client: int(cost) for client, cost in rows}
        self._seen_version = self._version()

    def _version(self) -> int:
        """A number that changes when another connection writes to the file."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def charge(self, charges: Sequence[Charge]) -> list[Charged]:
        """Charges in the given order, in one transaction that is on disk on return; sqlite3.Error if it fails."""
        with self.charging(charges) as outcomes:
            return outcomes

    @contextmanager
    def charging(self, charges: Sequence[Charge]) -> Iterator[list[Charged]]:
        """Charges in the given order, in one transaction that is written to disk while the block runs.

        At the end of the block it is on disk, or sqlite3.Error is raised and nothing is charged. No answer may be sent
        before.
        """
        with self._transaction():
            spent = dict(self._spent)
            outcomes = [self._charge(charge, spent) for charge in charges]
            commit = self._disk.submit(self._database.execute, "COMMIT")
            try:
                yield outcomes
            finally:
                commit.result()
                self._spent = spent

    def void(self, charges: Sequence[Charge]) -> None:
        """Refunds charges that were never answered."""
        if not charges:
            return
        with self._transaction():
            for charge in charges:
                self._write(charge, -charge.cost)
            self._database.execute("COMMIT")
            for charge in charges:
                self._spent[charge.client] -= charge.cost

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction that the block commits; otherwise it is rolled back."""
        with self._mutex:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                if self._version() != self._seen_version:
                    self._read_spent()
                yield
            finally:
                if self._database.in_transaction:  # neither committed nor ended by a full disk
                    self._database.execute("ROLLBACK")

    def spent(self, client: str) -> int:
        """Number of queries that `client` has spent."""
        return self._spent.get(client, 0)

    def remaining(self, client: str) -> int | None:
        """Number of queries that `client` may still spend, None for no limit."""
        return None if self._budget is None else max(0, self._budget - self.spent(client))

    def close(self) -> None:
        """Closes the file and releases its lock."""
        with self._mutex:
            self._disk.shutdown()
            self._database.close()
            self._lock.release()

    def _charge(self, charge: Charge, spent: dict[str, int]) -> Charged:
        if charge.key is not None:
            previous = self._database.execute(
                "SELECT SUM(cost), MIN(digest), MAX(digest) FROM queries WHERE client = ? AND key = ?",
                (charge.client, charge.key),
            ).fetchone()
            if previous[0] is not None and previous[1:] != (charge.digest, charge.digest):
                return Charged.ANOTHER
            if previous[0]:
                return Charged.BEFORE
        total = spent.get(charge.client, 0) + charge.cost
        if self._budget is not None and total > self._budget:
            return Charged.OVER
        self._write(charge, charge.cost)
        spent[charge.client] = total
        return Charged.NEW

    def _write(self, charge: Charge, cost: int) -> None:
        self._database.execute(
            "INSERT INTO queries (at, client, key, digest, cost) VALUES (?, ?, ?, ?, ?)",
            (time.time(), charge.client, charge.key, charge.digest, cost),
        )
