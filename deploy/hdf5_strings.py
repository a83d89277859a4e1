"""Strings of any length in HDF5 files, read without the library, which believes whatever size a damaged heap states.

A dataset of one such string holds 16 bytes: its length, the address of a global heap collection, and an index into it.
A collection is `GCOL`, a version, its size, and objects of index, reference count, size and data. Source: the HDF5
file format specification, version 3.0, III.E and VIII.A.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

REFERENCE = struct.Struct("<IQI")
COLLECTION = struct.Struct("<4sB3xQ")
OBJECT = struct.Struct("<HHIQ")
MOST_BYTES = 2**20
"""How much of a heap is looked through; one that libraries write is 4096 bytes, unless it holds a longer string."""


def variable_string(dataset: Any, most: int) -> bytes:
    """The string of a dataset with one string of any length, which is stored in one piece.

    Raises:
        ValueError: there is none of at most `most` bytes. OSError: the file cannot be read.
    """
    offset = dataset.id.get_offset()
    if offset is None:
        raise ValueError("its string is not stored")
    with open(dataset.file.filename, "rb") as file:
        length, address, index = REFERENCE.unpack(_read(file, offset, REFERENCE.size))
        if length > most:
            raise ValueError(f"a string of {length} bytes")
        return _heap_object(file, dataset.file.userblock_size + address, index)[:length]


def _heap_object(file: BinaryIO, address: int, index: int) -> bytes:
    signature, version, size = COLLECTION.unpack(_read(file, address, COLLECTION.size))
    if signature != b"GCOL" or version != 1 or not COLLECTION.size <= size <= MOST_BYTES:
        raise ValueError("its heap is damaged")
    objects = _read(file, address + COLLECTION.size, size - COLLECTION.size)
    position = 0
    while position + OBJECT.size <= len(objects):
        found, _, _, length = OBJECT.unpack_from(objects, position)
        start = position + OBJECT.size
        if length > len(objects) - start or found == 0:  # 0: what is left is free
            break
        if found == index:
            return objects[start : start + length]
        position = start + (length + 7) // 8 * 8
    raise ValueError("its heap does not hold it")


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    if offset >= 2**63:
        raise ValueError("an address beyond the file")
    file.seek(offset)
    found = file.read(size)
    if len(found) < size:
        raise ValueError("an address beyond the file")
    return found
