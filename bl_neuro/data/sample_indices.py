"""Reads indices of samples of a dataset from a file."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import IntArray
from bl_neuro.errors import DataError
from bl_neuro.strangers.archive import DAMAGE, Archive
from bl_neuro.strangers.door import exists, read_bytes, regular_file
from bl_neuro.strangers.npy import read_npy

SPARE_BYTES = 2**16
BYTES_PER_SAMPLE = 32
"""A file has at most SPARE_BYTES + BYTES_PER_SAMPLE x the samples of the dataset."""
SUFFIXES = (".npy", ".npz", ".txt", ".json")


def read_sample_indices(path: Path, count: int) -> IntArray:
    """The indices in a file, sorted: distinct integers in 0..count-1.

    A `.npy` file, or a `.npz` file with one array, contains integers (N,); a `.txt` file contains decimal digits
    separated by white space; a `.json` file contains a list of numbers. Index 0 is the first sample of the loaded
    dataset. In MNIST, training images come before test images.

    Raises:
        DataError: the file is missing, damaged or too large, or has other contents.
    """
    if not exists(path):
        raise DataError(f"{path}: expected a file of sample indices ({', '.join(SUFFIXES)}), found nothing there")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: expected a file of sample indices, {', '.join(SUFFIXES)}, found {path.suffix!r}")
    most = SPARE_BYTES + BYTES_PER_SAMPLE * count
    try:
        values = _values(path, most)
    except DAMAGE as error:
        raise DataError(f"{path}: expected sample indices ({str(error) or type(error).__name__})") from error
    return _checked(path, values, count)


def _values(path: Path, most: int) -> npt.NDArray[Any]:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with regular_file(path) as file:
            archive = Archive(file, path)
            if len(archive.members) != 1:
                raise ValueError(f"expected one array, found {len(archive.members)}")
            ((name, info),) = archive.members.items()
            if info.file_size > most:
                raise ValueError(f"expected at most {most} bytes of indices, found {info.file_size}")
            return archive.array(name, "iu")
    content = read_bytes(path, most)
    if suffix == ".npy":
        return read_npy(content, "iu")
    if suffix == ".txt":
        numbers = [_number(word) for word in content.removeprefix(codecs.BOM_UTF8).split()]
    else:
        numbers = json.loads(content.decode("utf-8-sig"))
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ValueError("expected a list of whole numbers")
    return np.array(numbers, dtype=object)


def _number(word: bytes) -> int:
    """The number in decimal digits. Python also takes digits of other scripts, `1_0` and `+5`."""
    if not re.fullmatch(rb"-?[0-9]{1,18}", word) or word.startswith(b"-0"):
        raise ValueError(
            f"expected whole numbers in decimal digits, found {word[:20].decode(errors='backslashreplace')!r}"
        )
    return int(word)


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
