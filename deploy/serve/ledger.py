"""The query budget of every client: an append-only log in SQLite, written to disk before an answer is sent.

Killing the server loses no charge of an answered query. A query whose answer was lost can be repeated under its
idempotency key at no charge: the served model is deterministic, so the repeated answer reveals nothing new. A log
therefore belongs to one network, one value of `reveals` and one arithmetic; with another, an old key would reveal new
information.

Every entry contains the hash of all entries up to it, and a second file counts them (`bl_neuro.deploy.serve.seal`). The
log is checked against both at the start, and its files before every charge; once it is damaged, nothing is charged and
so nothing is answered, until the operator accepts the damage.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NoReturn

from bl_neuro.deploy.serve.entries import add_entry, read_entries
from bl_neuro.deploy.serve.opening import OpenedLog, open_log
from bl_neuro.deploy.serve.paths import own_files
from bl_neuro.deploy.serve.seal import Mark, Seal, file_identity
from bl_neuro.errors import DataError, LogDamaged


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

    served: identifies the network, `reveals` and arithmetic. budget: queries of each client, None for no limit. seal:
    the file with the number of entries, by default beside the log. accept_damage: continue with a damaged log.
    on_damage: called once, with the reason, when damage is discovered after the start. damage: that reason, or None.

    Raises:
        LogDamaged: entries are missing or changed.
        InputError: the file belongs to another served model, is not a query log, cannot be written, or another server
            writes to it; or the seal is not a file of its own (`bl_neuro.deploy.serve.paths`).
    """

    def __init__(
        self,
        path: Path,
        served: str,
        budget: int | None,
        seal: Path | None = None,
        accept_damage: bool = False,
        on_damage: Callable[[str], None] = lambda damage: None,
    ) -> None:
        self._path, sealed = own_files(path, seal)  # resolved, so that a symbolic link to the log uses the same lock
        self._served = served
        self._budget = budget
        self._mutex = threading.Lock()
        self._disk = ThreadPoolExecutor(1, "log of queries")
        self._on_damage = on_damage
        self.damage: str | None = None
        self._log: OpenedLog = open_log(self._path, sealed, served, accept_damage)
        self._database: sqlite3.Connection = self._log.database
        self._mark: Mark = self._log.mark
        self._pending = self._mark
        self._seal: Seal = self._log.seal
        self._spent = self._log.spent
        self._seen_version = self._version()
        self._files = {file: file_identity(file) for file in (self._path, Path(f"{self._path}-wal"))}
        self._size = self._path.stat().st_size

    @property
    def accepted(self) -> str | None:
        """The damage with which the operator continues, or None."""
        return self._log.accepted

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

        Raises:
            LogDamaged: the log was damaged while the server ran.
        """
        with self._transaction():
            spent = dict(self._spent)
            outcomes = [self._charge(charge, spent) for charge in charges]
            commit = self._disk.submit(self._commit)
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
            self._commit()
            for charge in charges:
                self._spent[charge.client] -= charge.cost

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction that the block commits; otherwise it is rolled back."""
        with self._mutex:
            self._check_files()
            self._database.execute("BEGIN IMMEDIATE")
            self._pending = self._mark
            try:
                if self._version() != self._seen_version:
                    self._check_entries()
                yield
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:  # such as OperationalError: a full or busy disk
                    raise
                self._refuse(f"the database is damaged ({error})")
            finally:
                if self._database.in_transaction:  # neither committed nor ended by a full disk
                    self._database.execute("ROLLBACK")

    def _commit(self) -> None:
        """Commits the entries, and then seals them."""
        self._database.execute("COMMIT")
        if self._pending is self._mark:
            return
        self._mark = self._pending
        try:
            self._seal.write(self._mark)
        except OSError as error:
            self._refuse(f"the seal {self._seal.path} cannot be written: {error.strerror or error}")

    def _check_files(self) -> None:
        """Raises LogDamaged if the files of the log are not those that were opened."""
        if self.damage is None:
            for file, identity in self._files.items():
                if identity is not None and file_identity(file) != identity:
                    self._refuse(f"{file} was deleted, renamed or replaced")
            size = self._path.stat().st_size
            if size < self._size:
                self._refuse(f"{self._path} was cut from {self._size} to {size} bytes")
            self._size = size
            damage = self._seal.damage()
            if damage is not None:
                self._refuse(damage)
        if self.damage is not None:
            raise LogDamaged(self.damage)

    def _check_entries(self) -> None:
        """Raises LogDamaged if the entries are not those that this server wrote; the files changed."""
        try:
            mark, _ = read_entries(self._database, self._mark.identity, self._served, self._mark)
        except LogDamaged as error:
            self._refuse(str(error))
        if mark != self._mark:
            self._refuse(f"another program wrote {mark.count - self._mark.count} entries to {self._path}")
        self._seen_version = self._version()

    def _refuse(self, damage: str) -> NoReturn:
        """Ends all answers of this server. The seal stays on disk, so that the next start refuses as well."""
        self._record_damage(damage)
        with suppress(OSError, DataError):
            self._seal.restore()
        raise LogDamaged(damage)

    def _record_damage(self, damage: str) -> None:
        if self.damage is None:
            self.damage = damage
            self._on_damage(damage)

    def spent(self, client: str) -> int:
        """Number of queries that `client` has spent."""
        return self._spent.get(client, 0)

    def remaining(self, client: str) -> int | None:
        """Number of queries that `client` may still spend, None for no limit."""
        return None if self._budget is None else max(0, self._budget - self.spent(client))

    def close(self) -> None:
        """Closes the files and releases the lock. Damage is reported to `on_damage`, not raised."""
        with self._mutex:
            try:
                self._check_files()
            except LogDamaged:  # reported by _refuse
                pass
            except OSError as error:
                self._record_damage(f"the files of the log cannot be checked: {error}")
            self._disk.shutdown()
            self._log.close()
            if self._seal.failure is not None:  # the last mark is written to disk when the seal is closed
                self._record_damage(self._seal.failure)

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
        entry = (time.time(), charge.client, charge.key, charge.digest, cost)
        self._pending = add_entry(self._database, self._pending, entry)
