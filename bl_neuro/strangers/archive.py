"""Reader of untrusted `.npz` archives: their size is known before anything is unpacked."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from bl_neuro.strangers.budget import MOST_MEMBERS, need_memory
from bl_neuro.strangers.npy import read_npy_stream

DAMAGE = (
    ArithmeticError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RecursionError,
    RuntimeError, TypeError, ValueError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Exceptions of Python and NumPy for files that are not NPZ files."""
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
MOST_DIRECTORY = 2**16
"""Maximum number of bytes of an archive's list of contents."""


class Archive:
    """The arrays of an open `.npz` file, by name.

    Raises:
        ValueError, or another of `DAMAGE`: it is damaged, has bytes before or after it, or too many arrays.
        DataError: its arrays together exceed the memory budget.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        size = os.fstat(file.fileno()).st_size
        _need_directory(file, size)
        self._archive = zipfile.ZipFile(file)
        members = self._archive.infolist()
        self.members = {info.filename.removesuffix(".npy"): info for info in members}
        if len(members) > MOST_MEMBERS or len(self.members) != len(members):
            raise ValueError(f"expected at most {MOST_MEMBERS} arrays of different names, found {len(members)}")
        self.path, self._size = path, size

    def need_memory(self, names: Collection[str]) -> None:
        """Checks that these arrays fit the memory budget.

        Raises:
            DataError: they do not.
        """
        need_memory(self.path, sum(self.members[name].file_size for name in names), self._size)

    def array(self, name: str, kinds: str) -> npt.NDArray[Any]:
        """The array `name`; see `read_npy`. Unpacks no more than the size that the archive states."""
        info = self.members[name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name}: compressed by a method that NumPy does not use")
        with self._archive.open(info) as member:
            try:
                return read_npy_stream(member, info.file_size, kinds)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


def _need_directory(file: BinaryIO, size: int) -> None:
    """Checks that the file is one archive from its first to its last byte, with a short list of contents."""
    file.seek(max(0, size - END.size - LOCATOR_64.size - END_64.size))
    tail = file.read()
    if len(tail) < END.size or tail[-END.size :][:4] != b"PK\5\6":
        raise ValueError("not a zip archive, or cut short, or bytes follow it")
    _, _, _, _, _, length, start, comment = END.unpack(tail[-END.size :])
    end = size - END.size
    if tail[: END_64.size][:4] == b"PK\6\6" and len(tail) == END.size + LOCATOR_64.size + END_64.size:
        *_, length, start = END_64.unpack(tail[: END_64.size])
        end = size - len(tail)
    if comment or length > MOST_DIRECTORY or start + length != end:
        raise ValueError("not a whole zip archive, or its list of contents is too long")
    file.seek(0)
