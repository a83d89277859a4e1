"""Reading a stranger's HDF5 file: every size, type and link is checked before a value is read.

Only plain datasets are read, stored in one piece inside the file: no filters, chunks, external or virtual storage, and
no link but hard ones. What is read in all is never more than the file has bytes, however often they are named.
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
"""What h5py raises on a damaged file, beside MemoryError."""
MOST_TEXT = 64
MOST_KEYS = 4096
VARIABLE_STRING_BYTES = 16
"""What a reference to a string takes in a file with addresses of 8 bytes."""
T = TypeVar("T")


@dataclass
class Budget:
    """How many values, and how many bytes of the file, may still be read."""

    values: int
    bytes: int


@dataclass(frozen=True)
class CheckedGroup:
    """A group of a file: its values are read through checks; what fails one is a line in `problems`, which all share.

    place: how problems call it, "block 3".
    """

    handle: Any
    place: str
    budget: Budget
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Notes a problem of this group."""
        self.problems.append(f"{self.place}: {problem}")

    def keys(self) -> list[str]:
        """Names in this group; none where it is damaged or has too many."""
        try:
            if len(self.handle) <= MOST_KEYS:
                return sorted(str(key) for key in self.handle)
            self.complain(f"at most {MOST_KEYS} keys, found {len(self.handle)}")
        except DAMAGED as error:
            self.complain(f"damaged ({_short(error)})")
        return []

    def group(self, key: str, place: str | None = None) -> CheckedGroup | None:
        """The group `key` in this one, or None with a problem."""
        handle = self._item(key)
        if handle is None:
            return None
        if not hasattr(handle, "keys"):
            self.complain(f"{key}: expected a group, found a value")
            return None
        return CheckedGroup(handle, place or f"{self.place}: {key}", self.budget, self.problems)

    def text(self, key: str) -> str | None:
        """A word of ASCII, or None with a problem."""
        dataset = self._dataset(key)
        if dataset is None:
            return None
        return self._read(key, lambda: self._text(key, dataset))

    def numbers(self, key: str) -> FloatArray | None:
        """Finite numbers in the shape they have, or None with a problem."""
        dataset = self._dataset(key)
        if dataset is None:
            return None
        return self._read(key, lambda: self._numbers(key, dataset))

    def _read(self, key: str, read: Callable[[], T | None]) -> T | None:
        try:
            return read()
        except (*DAMAGED, MemoryError) as error:
            self.complain(f"{key}: damaged ({_short(error)})")
            return None

    def _item(self, key: str) -> Any:
        """What `key` names, if it lies in this file."""
        import h5py

        def found() -> Any:
            link = self.handle.get(key, getlink=True)
            if link is None:
                self.complain(f"{key}: missing")
            elif not isinstance(link, h5py.HardLink):
                self.complain(f"{key}: a link, which is not followed")
            else:
                return self.handle[key]
            return None

        return self._read(key, found)

    def _dataset(self, key: str) -> Any:
        """The dataset `key`, stored plainly and no larger than allowed; else None with a problem."""
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
            return "holds no values"
        plan = handle.id.get_create_plist()
        if plan.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS) or plan.get_nfilters():
            return "expected plain contiguous storage, found chunks, filters or a virtual dataset; h5repack undoes them"
        if plan.get_external_count():
            return "its values lie in another file, which is not opened"
        size = int(handle.size)
        if size > self.budget.values:
            return f"{size} values, more than a network may have in all"
        held = handle.id.get_storage_size()
        # a string of any length is a reference, on disk wider than the pointer it becomes
        variable = h5py.check_string_dtype(handle.dtype) is not None and handle.dtype.kind == "O"
        each = VARIABLE_STRING_BYTES if variable else handle.id.get_type().get_size()
        if held != size * each:
            return f"states {size} values, of which the file holds {held} bytes"
        if held > self.budget.bytes:
            return f"{held} bytes: with what was read before, more than the file has"
        self.budget.values -= size
        self.budget.bytes -= held
        return ""

    def _text(self, key: str, dataset: Any) -> str | None:
        import h5py

        kind = h5py.check_string_dtype(dataset.dtype)
        if kind is None or dataset.size != 1 or (kind.length or 0) > MOST_TEXT:
            self.complain(f"{key}: expected one short string, found {dataset.dtype} of shape {dataset.shape}")
            return None
        fixed = kind.length is not None
        raw = bytes(np.asarray(dataset[()]).ravel()[0]) if fixed else variable_string(dataset, MOST_TEXT)
        if len(raw) > MOST_TEXT or not raw.isascii():
            self.complain(f"{key}: expected a short ASCII string, found {raw[:MOST_TEXT]!r}")
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


def hdf5_image(fill: Callable[[Any], None]) -> bytes:
    """The bytes of a file that `fill(file)` puts together; any number of threads may make one at the same time."""
    import h5py

    # HDF5 knows open files by their name, those in memory too
    with h5py.File(uuid4().hex, "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image
