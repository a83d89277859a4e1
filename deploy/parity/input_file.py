"""Inputs from a NumPy file, `.npy` or `.npz`: never unpickled, and read only where header and size agree."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import InputError

MAX_BYTES = 2**30
"""Most bytes of one array."""


def read_inputs(path: str | Path) -> npt.NDArray[Any]:
    """The array of a `.npy` file, or of a `.npz` that holds one alone or one named `spikes` or `input`.

    Raises:
        InputError: missing, damaged, too large, not of numbers, or several arrays to choose from.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(
            f"{source}: expected a .npy or .npz file, found {'a folder' if source.is_dir() else 'nothing'}"
        )
    if source.suffix not in (".npy", ".npz"):
        raise InputError(f"{source}: expected a name ending in .npy or .npz, found '{source.suffix}'")
    try:
        return _array(_bytes(source), source)
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
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
        _need_size(names[wanted[0]].file_size, source)
        with archive.open(names[wanted[0]]) as member:
            return member.read(MAX_BYTES + 1)


def _need_size(size: int, source: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{source}: {size} bytes of values; at most {MAX_BYTES} are read")


def _array(content: bytes, source: Path) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    numpy_format: Any = np.lib.format  # partly untyped in NumPy 1
    version = numpy_format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"{source}: a NumPy file of version {version}; expected 1.0 or 2.0")
    read = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise InputError(f"{source}: expected an array of bool, integers or floats, found {dtype}")
    found = len(content) - file.tell()
    if math.prod(shape) * dtype.itemsize != found:
        raise InputError(f"{source}: damaged: {found} bytes of values do not make an array {shape} of {dtype}")
    values = np.frombuffer(content, dtype, offset=file.tell())
    return values.reshape(shape, order="F" if fortran else "C").copy(order="C")
