"""The files of a server: it writes only files of its own, and reads regular files only, so that it never waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import count as numbers
from pathlib import Path

from bl_neuro.errors import DataError, InputError
from bl_neuro.files import atomic_path, need_empty, need_regular
from bl_neuro.strangers.door import read_bytes, regular_file

DATABASE_ENDINGS = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite writes beside a log."""
LOCK = ".lock"
_KEPT = ".damaged-"
_MOST_INPUT_BYTES = 2**20


def own_files(log: Path, seal: Path | None, inputs: Mapping[str, Path | None] | None = None) -> tuple[Path, Path]:
    """The paths of log and seal, by default beside it, without symbolic links, after a check of all files.

    The log, the files beside it and the seal must be regular files or free names, and differ from each other and from
    `inputs`, the files that the server reads, by option.

    Raises:
        InputError: they are not, or the lock file beside the log has content.
    """
    log = _resolved("--log", log)
    seal = _resolved("--log-seal", Path(f"{log}.seal") if seal is None else seal)
    beside = [Path(f"{log}{ending}") for ending in (*DATABASE_ENDINGS, LOCK)]
    for path in (log, seal, *beside):
        option = "--log-seal" if path == seal else "--log"
        try:
            need_regular(path)
        except OSError as error:
            raise InputError(f"{option}: {error}") from error
    is_kept_log = seal.parent == log.parent and seal.name.startswith(f"{log.name}{_KEPT}")
    if is_kept_log or any(_is_same(seal, path) for path in (log, *beside)):
        raise InputError(f"--log-seal: expected a file of its own, found {seal}, which belongs to the log {log}")
    for option, file in (inputs or {}).items():
        if file is not None and any(_is_same(_resolved(option, file), own) for own in (log, seal, *beside)):
            raise InputError(
                f"{option}: expected another file than those of the log and its seal, found {file}, which the server "
                "would write to; use another file with --log or --log-seal"
            )
    try:
        need_empty(beside[-1])
    except OSError as error:
        raise InputError(f"--log: {error}; use another file with --log") from error
    return log, seal


def read_start(path: Path, size: int) -> bytes | None:
    """The first `size` bytes of a regular file, None if there is no file.

    Raises:
        DataError: it cannot be read, or is not a regular file.
    """
    if not os.path.lexists(path):
        return None
    with regular_file(path) as file:
        try:
            return file.read(size)
        except OSError as error:
            raise DataError(f"{path}: expected a file that can be read ({error.strerror or error})") from error


def read_input(path: Path, option: str) -> bytes:
    """The content of a file of tokens or of a certificate. option: of the command line, for error messages.

    Raises:
        InputError: it cannot be read, is not a regular file, or is larger than 1 MiB.
    """
    try:
        return read_bytes(path, _MOST_INPUT_BYTES)
    except DataError as error:
        raise InputError(f"{option} {error}") from error


def keep_aside(path: Path, endings: Sequence[str] = ("",)) -> None:
    """Gives the files `path` + ending that exist a second name, the first free `path`.damaged-N + ending.

    They stay at `path` as well, so that a kill before they are replaced loses none of them.
    """
    stems = (f"{path}{_KEPT}{number}" for number in numbers(1))
    kept = next(stem for stem in stems if not any(os.path.lexists(f"{stem}{ending}") for ending in endings))
    for ending in endings:
        part = Path(f"{path}{ending}")
        if part.exists():
            _link_or_copy(part, Path(f"{kept}{ending}"))


def _link_or_copy(path: Path, second: Path) -> None:
    try:
        os.link(path, second)
    except OSError:  # the file system has no hard links
        with atomic_path(second) as temporary:
            shutil.copyfile(path, temporary)
        shutil.copymode(path, second)


def _resolved(option: str, path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        raise InputError(f"{option}: expected a path, found {str(path)!r} ({error})") from error


def _is_same(first: Path, second: Path) -> bool:
    """Whether two paths are the same, or names of the same file."""
    try:
        return first == second or first.samefile(second)
    except OSError:  # one of them does not exist
        return False
