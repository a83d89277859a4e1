"""Inputs from a NumPy file, `.npy` or `.npz`: never unpickled, and read only where header and size agree."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy.typing as npt

from bl_neuro.errors import InputError
from bl_neuro.files import what_is_at
from bl_neuro.numpy_file import read_npy

MAX_BYTES = 2**30
"""Most bytes of one array."""
DAMAGED = (OSError, ValueError, OverflowError, RuntimeError, EOFError, struct.error, zipfile.BadZipFile, zlib.error)
"""What zipfile and NumPy raise on damaged files."""


def read_inputs(path: str | Path) -> npt.NDArray[Any]:
    """The array of a `.npy` file, or of a `.npz` that holds one alone or one named `spikes` or `input`.

    Raises:
        InputError: missing, damaged, too large, not of numbers, or several arrays to choose from.
    """
    source = Path(path)
    found = what_is_at(source)
    if found != "a file":
        raise InputError(f"{source}: expected a .npy or .npz file, found {found}")
    if source.suffix not in (".npy", ".npz"):
        raise InputError(f"{source}: expected a name ending in .npy or .npz, found '{source.suffix}'")
    try:
        return read_npy(_bytes(source))
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{source}: not a readable NumPy file ({error})") from error


def _bytes(source: Path) -> bytes:
    """The content of the one `.npy` in question."""
    if source.suffix == ".npy":
        _need_size(source.stat().st_size, source)
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        known: tuple[str, ...] = ("spikes", "input")
        wanted = [name for name in known if name in names] or list(names)
        if len(wanted) != 1:
            raise InputError(
                f"{source}: expected one array, or one named 'spikes' or 'input', found {len(names)} arrays"
            )
        chosen = names[wanted[0]]
        _need_size(chosen.file_size, source)
        if chosen.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed otherwise than NumPy does")
        with archive.open(chosen) as member:
            return member.read(MAX_BYTES + 1)


def _need_size(size: int, source: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{source}: {size} bytes of values; at most {MAX_BYTES} are read")
