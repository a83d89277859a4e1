"""Reader of untrusted HDF5 files: every size, type and link is checked before a value is read.

Only plain contiguous datasets inside the file are read: no filters, chunks, external or virtual storage, and only hard
links. The total amount of data read never exceeds the size of the file, even if datasets overlap.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

import numpy as np

from bl_neuro.arrays import FloatArray

DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError)
"""Exceptions besides MemoryError that h5py raises on a damaged file."""
MAX_TEXT = 64
MAX_KEYS = 4096
VARIABLE_STRING_BYTES = 16
"""Bytes of a reference to a variable-length string in a file with 8-byte addresses."""
T = TypeVar("T")


@dataclass
class Budget:
    """Remaining number of values, and of bytes of the file, that may be read."""

    values: int
    bytes: int


@dataclass(frozen=True)
class CheckedGroup:
    """A group of a file whose values are read through checks; failed checks are added to the shared list `problems`.

    place: name of the group in problems, such as "block 3".
    """

    handle: Any
    place: str
    budget: Budget
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Records a problem of this group."""
        self.problems.append(f"{self.place}: {problem}")

    def keys(self) -> list[str]:
        """Names in this group; empty, with a problem, if it is damaged or has too many."""
        try:
            if len(self.handle) <= MAX_KEYS:
                return sorted(str(key) for key in self.handle)
            self.complain(f"expected at most {MAX_KEYS} keys, found {len(self.handle)}")
        except DAMAGED as error:
            self.complain(f"damaged ({_short(error)})")
        return []

    def group(self, key: str, place: str | None = None) -> CheckedGroup | None:
        """The subgroup `key`, or None with a problem."""
        handle = self._item(key)
        if handle is None:
            return None
        if not hasattr(handle, "keys"):
            self.complain(f"{key}: expected a group, found a value")
            return None
        return CheckedGroup(handle, place or f"{self.place}: {key}", self.budget, self.problems)

    def text(self, key: str) -> str | None:
        """A short ASCII string, or None with a problem."""
        dataset = self._dataset(key)
        if dataset is None:
            return None
        return self._read(key, lambda: self._text(key, dataset))

    def numbers(self, key: str) -> FloatArray | None:
        """An array of finite numbers, or None with a problem."""
        dataset = self._dataset(key)
        if dataset is None:
            return None
        return self._read(key, lambda: self._numbers(key, dataset))

    def _read(self, key: str, reader: Callable[[], T | None]) -> T | None:
        try:
            return reader()
        except (*DAMAGED, MemoryError) as error:
            self.complain(f"{key}: damaged ({_short(error)})")
            return None

    def _item(self, key: str) -> Any:
        """The object `key`, if it lies in this file."""
        import h5py

        def lookup() -> Any:
            link = self.handle.get(key, getlink=True)
            if link is None:
                self.complain(f"{key}: missing")
            elif not isinstance(link, h5py.HardLink):
                self.complain(f"{key}: a link, which is not followed")
            else:
                return self.handle[key]
            return None

        return self._read(key, lookup)

    def _dataset(self, key: str) -> Any:
        """The dataset `key`, if it is stored contiguously and is not too large; else None with a problem."""
        handle = self._item(key)
        if handle is None:
            return None
        problem = self._read(key, lambda: self._storage_problem(handle))
        if problem:
            self.complain(f"{key}: {problem}")
        return handle if problem == "" else None

    def _storage_problem(self, handle: Any) -> str:
        import h5py
        from h5py import h5d

        if not hasattr(handle, "dtype") or not hasattr(handle, "shape"):
            return "expected a value, found a group"
        if handle.shape is None or handle.size == 0:
            return "contains no values"
        plan = handle.id.get_create_plist()
        if plan.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS) or plan.get_nfilters():
            return "expected contiguous storage, found chunks, filters or a virtual dataset; h5repack converts them"
        if plan.get_external_count():
            return "its values lie in another file, which is not opened"
        size = int(handle.size)
        if size > self.budget.values:
            return f"{size} values, more than a network may have in total"
        stored = handle.id.get_storage_size()
        # a variable-length string is a reference, which is wider on disk than the pointer in memory
        variable = h5py.check_string_dtype(handle.dtype) is not None and handle.dtype.kind == "O"
        item_bytes = VARIABLE_STRING_BYTES if variable else handle.id.get_type().get_size()
        if stored != size * item_bytes:
            return f"declares {size} values, of which the file contains {stored} bytes"
        if stored > self.budget.bytes:
            return f"{stored} bytes: together with the values read before, more than the file contains"
        self.budget.values -= size
        self.budget.bytes -= stored
        return ""

    def _text(self, key: str, dataset: Any) -> str | None:
        import h5py

        kind = h5py.check_string_dtype(dataset.dtype)
        if kind is None or dataset.size != 1 or (kind.length or 0) > MAX_TEXT:
            self.complain(f"{key}: expected one short string, found {dataset.dtype} of shape {dataset.shape}")
            return None
        fixed = kind.length is not None
        raw = bytes(np.asarray(dataset[()]).ravel()[0]) if fixed else variable_string(dataset, MAX_TEXT)
        if len(raw) > MAX_TEXT or not raw.isascii():
            self.complain(f"{key}: expected a short ASCII string, found {raw[:MAX_TEXT]!r}")
            return None
        return raw.decode("ascii")

    def _numbers(self, key: str, dataset: Any) -> FloatArray | None:
        dtype = dataset.dtype
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            self.complain(f"{key}: expected integers or floats of at most 8 bytes, found {dtype}")
            return None
        with np.errstate(invalid="ignore"):  # a signalling NaN warns as it is converted
            values: FloatArray = np.asarray(dataset[()]).astype(np.float64)
        if not np.isfinite(values).all():
            self.complain(f"{key}: expected finite numbers, found NaN or infinity")
            return None
        return values


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


REFERENCE = struct.Struct("<IQI")
COLLECTION = struct.Struct("<4sB3xQ")
OBJECT = struct.Struct("<HHIQ")
MAX_HEAP_BYTES = 2**20
"""Maximum size of a heap that is searched; libraries write heaps of 4096 bytes, unless a string is longer."""


def variable_string(dataset: Any, max_length: int) -> bytes:
    """The string of a contiguous dataset with one variable-length string.

    Raises:
        ValueError: the string is missing, damaged or longer than `max_length` bytes.
        OSError: the file cannot be read.
    """
    offset = dataset.id.get_offset()
    if offset is None:
        raise ValueError("the string is not stored")
    with open(dataset.file.filename, "rb") as file:
        length, address, index = REFERENCE.unpack(_read(file, offset, REFERENCE.size))
        if length > max_length:
            raise ValueError(f"a string of {length} bytes")
        return _heap_object(file, dataset.file.userblock_size + address, index)[:length]


def _heap_object(file: BinaryIO, address: int, index: int) -> bytes:
    signature, version, size = COLLECTION.unpack(_read(file, address, COLLECTION.size))
    if signature != b"GCOL" or version != 1 or not COLLECTION.size <= size <= MAX_HEAP_BYTES:
        raise ValueError("the heap is damaged")
    objects = _read(file, address + COLLECTION.size, size - COLLECTION.size)
    position = 0
    while position + OBJECT.size <= len(objects):
        number, _, _, length = OBJECT.unpack_from(objects, position)
        start = position + OBJECT.size
        if length > len(objects) - start or number == 0:  # 0: the rest is free space
            break
        if number == index:
            return objects[start : start + length]
        position = start + (length + 7) // 8 * 8
    raise ValueError("the heap does not contain the string")


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    if offset >= 2**63:
        raise ValueError("an address beyond the file")
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise ValueError("an address beyond the file")
    return data


def hdf5_image(fill: Callable[[Any], None]) -> bytes:
    """The bytes of an HDF5 file that `fill(file)` writes, built in memory. Safe to call from several threads."""
    import h5py

    # a unique name, since HDF5 identifies open files by name, even in memory
    with h5py.File(uuid4().hex, "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image
