"""The contents of untrusted HDF5 files, read in a child process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bl_neuro.errors import ModelFileError
from bl_neuro.files import what_is_at
from bl_neuro.strangers.reading_room import ReadingFailed, ReadingRoom
from bl_neuro.strangers.tree_frames import Refused, Tree

MAX_FILE_BYTES = 2**31 + 2**20
ROOM = ReadingRoom("hdf5", "HDF5", "HDF5 files")


def read_hdf5(path: Path, what: str, chunks: bool) -> Tree:
    """The contents of the HDF5 file `path`. What is not supported is a `Refused` in the tree.

    what: kind of file, for messages. chunks: whether arrays may be stored in chunks and compressed.

    Raises:
        ModelFileError: the file is missing, not HDF5, damaged or too large; or reading it crashed, took too long or
            needed more memory than `bl_neuro.strangers.budget` says. InputError: its environment variable is wrong.
    """
    content = what_is_at(path)
    if content != "a file":
        raise ModelFileError(f"{path}: expected {what}, found {content}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ModelFileError(f"{path}: could not be read ({error.strerror})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{path}: expected {what}, found nothing that can be read")
        if status.st_size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {status.st_size}")
        return ROOM.read(descriptor, status.st_size, (int(chunks), 0, 0))
    except ReadingFailed as error:
        raise ModelFileError(f"{path}: {error}") from error
    finally:
        os.close(descriptor)


def first_refusal(tree: Tree, place: str = "") -> str | None:
    """The place and reason of the first entry that could not be read, or None."""
    for name, entry in tree.items():
        if isinstance(entry, Refused):
            return f"{place}/{name}: {entry.reason}"
        reason = first_refusal(entry, f"{place}/{name}") if isinstance(entry, dict) else None
        if reason is not None:
            return reason
    return None
