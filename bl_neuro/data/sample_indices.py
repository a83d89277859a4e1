"""Reads indices of samples of a dataset from a file."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import IntArray
from bl_neuro.errors import DataError
from bl_neuro.strangers.npy import read_npy

MOST_BYTES = 2**28
"""Maximum number of bytes of the file, or of its array."""
SUFFIXES = (".npy", ".npz", ".txt", ".json")
DAMAGE = (EOFError, LookupError, NotImplementedError, RecursionError, RuntimeError, TypeError, ValueError)
"""Exceptions of the readers for damaged files, besides errors of zip archives."""


def read_sample_indices(path: Path, count: int) -> IntArray:
    """The indices in a file, sorted: distinct integers in 0..count-1.

    A `.npy` file, or a `.npz` file with one array, contains integers (N,); a `.txt` file contains numbers separated by
    white space; a `.json` file contains a list of numbers. Index 0 is the first sample of the loaded dataset. In MNIST,
    training images come before test images.

    Raises:
        DataError: the file is missing, damaged or too large, or has other contents.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: expected a file of sample indices, {', '.join(SUFFIXES)}, found {path.suffix!r}")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: expected a file of sample indices ({error.strerror or error})") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{path}: expected at most {MOST_BYTES} bytes of sample indices, found more")
    try:
        values = _values(path.suffix, content)
    except (*DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: expected sample indices ({str(error) or type(error).__name__})") from error
    return _checked(path, values, count)


def _values(suffix: str, content: bytes) -> npt.NDArray[Any]:
    if suffix == ".npy":
        return read_npy(content, "iu")
    if suffix == ".npz":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size > MOST_BYTES:
                raise ValueError(f"expected one array of at most {MOST_BYTES} bytes, found {len(members)} arrays")
            return read_npy(archive.read(members[0]), "iu")
    numbers = [int(word) for word in content.decode().split()] if suffix == ".txt" else json.loads(content)
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ValueError("expected a list of whole numbers")
    return np.array(numbers, dtype=object)


def _checked(path: Path, values: npt.NDArray[Any], count: int) -> IntArray:
    if values.ndim != 1 or not values.size:
        raise DataError(f"{path}: expected sample indices (N,) with N at least 1, found an array {values.shape}")
    if values.min() < 0 or values.max() >= count:
        raise DataError(f"{path}: expected sample indices in 0..{count - 1}, found {values.min()}..{values.max()}")
    indices = values.astype(np.int64)
    unique, occurrences = np.unique(indices, return_counts=True)
    if len(unique) < len(indices):
        repeated = unique[occurrences > 1]
        raise DataError(
            f"{path}: expected every sample index once, found {len(repeated)} repeated, the first of them {repeated[0]}"
        )
    return unique
