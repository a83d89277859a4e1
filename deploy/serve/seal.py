"""The seal of a query log: a second file that holds the number of entries and the hash of the last one.

The log must always contain the sealed entries. A log that was cut, changed, exchanged, restored from an older copy or
deleted does not, and budgets can no longer be enforced from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.deploy.serve.paths import keep_aside, read_start
from bl_neuro.errors import InputError, LogDamaged
from bl_neuro.files import atomic_path

SIZE = 512
"""Bytes of the file: one sector, which disks write as a whole."""
_FIELDS = (b'"log": ', b'"entries": ', b'"last": ', b'"check": ')
SYNC_S = 1.0
"""Seconds after which the seal is on disk. A kill of the server loses none of it, a power failure at most so much."""


@dataclass(frozen=True)
class Mark:
    """State of a log. identity: a random name of the log. count: number of entries. head: hash of the last entry."""

    identity: str
    count: int
    head: str

    @classmethod
    def of_new_log(cls, served: str) -> Mark:
        """The mark of an empty log of this served model."""
        identity = secrets.token_hex(16)
        return cls(identity, 0, first_head(identity, served))

    def to_bytes(self) -> bytes:
        """The content of the file."""
        facts = {"log": self.identity, "entries": self.count, "last": self.head}
        text = json.dumps({**facts, "check": _check(self)})
        return text.ljust(SIZE - 1).encode() + b"\n"


def first_head(identity: str, served: str) -> str:
    """The hash that precedes the first entry."""
    return hashlib.sha256(f"{identity} {served}".encode()).hexdigest()


def read_mark(path: Path) -> Mark | None:
    """The mark in the file, or None if there is no such file.

    Raises:
        LogDamaged: the file is a damaged seal.
        InputError: the file is not a seal.
        DataError: the file cannot be read.
    """
    content = read_start(path, SIZE + 1)
    if content is None:
        return None
    if not _resembles_seal(content):
        raise InputError(
            f"--log-seal: {path}: expected a seal or no file, found another file, which is not replaced; use another "
            "file with --log-seal"
        )
    try:
        facts = json.loads(content)
        mark = Mark(str(facts["log"]), int(facts["entries"]), str(facts["last"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        mark = None
    if mark is None or mark.to_bytes() != content:
        raise LogDamaged(f"the seal {path} is damaged")
    return mark


class Seal:
    """Writes the marks of one log to the file at `path`, which is created or replaced.

    path: its file. failure: why the marks could not be written to disk, or None.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path = path
        self._content = mark.to_bytes()
        self.restore()
        self._file = os.open(path, os.O_RDWR)
        self._identity = file_identity(path)
        self.failure: str | None = None
        self._written, self._ended = threading.Event(), threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="seal", daemon=True)
        self._syncing.start()

    def write(self, mark: Mark) -> None:
        """Replaces the mark; a kill of this process does not lose it, and it is on disk within `SYNC_S`.

        Raises OSError if it cannot be written.
        """
        content = mark.to_bytes()
        os.pwrite(self._file, content, 0)
        self._content = content
        self._written.set()

    def damage(self) -> str | None:
        """What happened to the file since the last mark, or None."""
        if self.failure is not None:
            return self.failure
        if file_identity(self.path) != self._identity:
            return f"the seal {self.path} was deleted, renamed or replaced"
        if os.pread(self._file, SIZE + 1, 0) != self._content:
            return f"the seal {self.path} was changed by another program"
        return None

    def restore(self) -> None:
        """Writes the last mark to a new file: where the old one was deleted or replaced, the next start needs it.

        A file that is not a seal and took its place is kept as SEAL.damaged-1.
        """
        content = read_start(self.path, SIZE + 1)
        if content is not None and not _resembles_seal(content):
            keep_aside(self.path)
        with atomic_path(self.path) as part:
            part.write_bytes(self._content)

    def close(self) -> None:
        """Writes the last mark to disk and closes the file."""
        self._ended.set()
        self._written.set()
        self._syncing.join()
        os.close(self._file)

    def _sync(self) -> None:
        while not self._ended.is_set():
            self._written.wait()
            self._ended.wait(SYNC_S)
            self._written.clear()
            try:
                os.fsync(self._file)
            except OSError as error:
                self.failure = f"the seal {self.path} cannot be written: {error.strerror or error}"
                return


def file_identity(path: Path) -> tuple[int, int] | None:
    """Device and number of the file at `path`, None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _resembles_seal(content: bytes) -> bool:
    """Whether a file that starts like this is a seal, perhaps a damaged one, instead of a file of another program."""
    if len(content) > SIZE:
        return content.startswith(b'{"log": "')
    return not content.strip(b"\0 \n") or any(field in content for field in _FIELDS)


def _check(mark: Mark) -> str:
    return hashlib.sha256(f"{mark.identity} {mark.count} {mark.head}".encode()).hexdigest()
