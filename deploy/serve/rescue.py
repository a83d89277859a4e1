"""The entries that remain in a damaged log, and a new log that is written from them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bl_neuro.deploy.serve.entries import Entry, connected, create_tables, is_disk_failure, read_description
from bl_neuro.deploy.serve.paths import DATABASE_ENDINGS, keep_aside
from bl_neuro.errors import LogDamaged

_MOST_COST = 2**31
"""Largest cost of an entry that is read from a damaged log; SQLite sums up to 2^63."""


def replace_log(path: Path, identity: str, served: str, entries: Sequence[Entry]) -> None:
    """Puts a new log with these entries in the place of the log at `path`, which is kept as LOG.damaged-1.

    The new log is complete before it takes the place of the old one, so that a kill loses no entry.
    """
    with TemporaryDirectory(prefix=".rescue-", dir=path.parent) as folder:
        complete = Path(folder) / "log"
        with closing(connected(complete, is_new=True)) as database:
            create_tables(database, identity, served, entries)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # moves all entries into the file itself
        if path.exists():
            shutil.copymode(path, complete)
        keep_aside(path, ("", *DATABASE_ENDINGS))
        for ending in DATABASE_ENDINGS:  # SQLite would apply the journals of the old log to the new one
            Path(f"{path}{ending}").unlink(missing_ok=True)
        complete.replace(path)


def readable_entries(path: Path, served: str) -> list[Entry]:
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
                if is_disk_failure(error):
                    raise
        try:
            description = read_description(database)
        except (sqlite3.DatabaseError, LogDamaged):
            description = None
    keyed = description is not None and description[1] == served
    entries = (_entry(*rows[number], keyed=keyed) for number in sorted(rows))
    return [entry for entry in entries if entry is not None]


def _entry(at: Any, client: Any, key: Any, digest: Any, cost: Any, *, keyed: bool) -> Entry | None:
    """An entry of a damaged log, None if it is not a charge."""
    if not isinstance(client, str) or not isinstance(digest, bytes) or not isinstance(cost, int) or cost <= 0:
        return None
    time = float(at) if isinstance(at, (int, float)) else 0.0
    return time, client, key if keyed and isinstance(key, str) else None, digest, min(cost, _MOST_COST)
