"""Trained networks and evaluators that runs share, in the cache folder of the user.

    trained/KEY/cells/, times/    a result, with the names and formats of a run folder (see `store`)
    locks/PREFIX.lock             held during the training of a key that starts with the prefix

An entry is prepared in a hidden folder and renamed, so that it is complete or absent. It is verified by its digests
when it is read, and its contents are those of a run folder: safetensors and JSON.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.provenance import now
from bl_neuro.experiment.store import Result, Store
from bl_neuro.files import cache_folder

VARIABLE = "BL_NEURO_CACHE_MIB"
"""The environment variable for the largest size of the cache, in MiB; 0 turns it off."""
DEFAULT_MIB = 2048
STALE_S = 3600.0
"""Age from which a hidden folder of a killed process is removed, in seconds."""
WAIT_S = 1800.0
"""Longest wait for a training in another process, which may be stopped, in seconds."""
LOCK_CHARACTERS = 3
"""Number of characters of a key that name its lock: few enough that locks need not be removed."""


class Entry(NamedTuple):
    """An entry of the cache. used: when it was last written or read, in seconds since 1970."""

    key: str
    size: int
    used: float


class TrainedCache:
    """The cache in `folder`, of at most `limit` bytes: entries that were not used for longest are removed beyond it.

    warnings: what went wrong since they were last taken; nothing here stops a run.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_MIB * 2**20) -> None:
        self.folder, self.limit = folder, limit
        self.warnings: list[str] = []
        self._held: set[str] = set()

    @classmethod
    def of_user(cls) -> TrainedCache | None:
        """The cache in the user's cache folder (see `files.cache_folder`); None if it is turned off or has no folder.

        Raises:
            InputError: an environment variable is invalid.
        """
        folder, limit = cache_folder(), stated_limit()
        return None if folder is None or limit == 0 else cls(folder, limit)

    def holds(self, key: str | None) -> bool:
        """Whether there is an entry, which is not verified."""
        return key is not None and self._entry(key).is_dir()

    def copy(self, key: str, cell: Cell, store: Store) -> bool:
        """Copies the entry into `store`, with the time of copying. Returns whether there was an intact one.

        A damaged entry is removed, with a warning.

        Raises:
            ReportError: `store` could not be written.
        """
        place = self._entry(key)
        if not place.is_dir():
            return False
        entry = Store(place)
        try:
            result = entry.check(cell.address)
        except ReportError as error:
            result = str(error)
        if not isinstance(result, Result):
            if place.is_dir():  # otherwise another process removed it while it was read
                self._remove(place)
                self.warnings.append(
                    f"{place}: expected an intact entry of the cache, found {result or 'no result'}; it is removed, "
                    f"and {cell.label} is trained anew"
                )
            return False
        content = None
        if result.tensors is not None:
            try:
                content = result.tensors.read_bytes()
            except OSError:
                return False  # removed by another process
        times = entry.times(cell.address).model_copy(update={"copied": now()})
        save = None if content is None else (lambda path: _written(path, content))
        store.write(result.definition, result.measures, times, save)
        stored = store.check(cell.address)
        if not isinstance(stored, Result) or stored.digest != result.digest:
            return False  # it changed after it was verified
        with suppress(OSError):
            os.utime(place)
        return True

    def keep(self, key: str, cell: Cell, store: Store) -> None:
        """Adds the finished `cell` of `store`. If that is not possible, a warning says so."""
        result, temporary = store.read(cell.address), None
        if result is None or self._entry(key).exists():
            return
        try:
            parent = self._entry(key).parent
            parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{key[:8]}-"))
            tensors = result.tensors
            save = None if tensors is None else (lambda path: _written(path, tensors.read_bytes()))
            Store(temporary).write(result.definition, result.measures, store.times(cell.address), save)
            with suppress(OSError):  # another process added the same entry
                os.rename(temporary, self._entry(key))
            self._bound()
        except (OSError, ReportError) as error:
            self.warnings.append(
                f"{self.folder}: trained networks and evaluators could not be added to the cache, so that other runs "
                f"train their own ({error}); set BL_NEURO_CACHE to a writable folder, or turn the cache off with "
                "--no-cache (cache=False in Python)"
            )
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)

    @contextmanager
    def training(self, *keys: str) -> Iterator[None]:
        """Waits until no other process trains any of the keys; then it finds their results in the cache.

        Does not wait where locks are not possible, as in a read-only folder, nor longer than `WAIT_S` for each. Blocks
        for the same keys may be nested.
        """
        names = sorted({key[:LOCK_CHARACTERS] for key in keys} - self._held)  # in one order, so that none wait in turn
        with ExitStack() as locks:
            for name in names:
                self._lock(name, locks)
            self._held.update(names)
            try:
                yield
            finally:
                self._held.difference_update(names)

    def _lock(self, name: str, locks: ExitStack) -> None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "locks" / f"{name}.lock")
        with suppress(OSError, NotImplementedError, Timeout):
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=WAIT_S)
            locks.callback(lock.release)

    def entries(self) -> list[Entry]:
        """All entries, those that were not used for longest first."""
        kept = []
        for place in self._places():
            with suppress(OSError):
                size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
                kept.append(Entry(place.name, size, place.stat().st_mtime))
        return sorted(kept, key=lambda entry: entry.used)

    def kind(self, key: str) -> str:
        """The kind of cell of an entry, such as "evaluator"; "damaged" if that cannot be read."""
        addresses = [path.stem for path in (self._entry(key) / "cells").glob("*.json")]
        results = [Store(self._entry(key)).read(address) for address in addresses]
        return str(results[0].definition["kind"]) if results and results[0] is not None else "damaged"

    def clear(self) -> int:
        """Removes all entries; returns their number. Raises ReportError if one cannot be removed."""
        removed = 0
        for place in self._places():
            self._remove(place)
            if place.exists():
                raise ReportError(f"{place}: could not be removed; remove the folder by hand")
            removed += 1
        self._remove_remains()
        return removed

    def _places(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from sorted(
                place
                for place in (self.folder / "trained").iterdir()
                if place.is_dir() and not place.name.startswith(".")
            )

    def _entry(self, key: str) -> Path:
        return self.folder / "trained" / key

    def _remove_remains(self) -> None:
        """Removes what killed processes left."""
        for path in (self.folder / "trained").glob(".*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _bound(self) -> None:
        """Removes the entries that were not used for longest beyond the limit, and remains of killed processes."""
        self._remove_remains()
        entries = self.entries()
        size = sum(entry.size for entry in entries)
        for entry in entries:
            if size <= self.limit:
                break
            self._remove(self._entry(entry.key))
            size -= entry.size

    @staticmethod
    def _remove(place: Path) -> None:
        """Removes an entry at once for others: it is renamed first."""
        hidden = place.with_name(f".{place.name[:8]}-{os.getpid()}-{time.monotonic_ns()}")
        with suppress(OSError):
            os.rename(place, hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def stated_limit() -> int:
    """The largest size of the cache in bytes.

    Raises:
        InputError: the environment variable is not a whole number of MiB.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return DEFAULT_MIB * 2**20
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise InputError(f"{VARIABLE}: expected a whole number of MiB, 0 to turn the cache off, found {text[:20]!r}")
    return int(text) * 2**20


def _written(path: Path, content: bytes) -> None:
    path.write_bytes(content)
