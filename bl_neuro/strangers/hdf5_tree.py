"""Reads an untrusted HDF5 file as nested dicts of arrays and strings; every size is checked before reading.

HDF5's own filters are not used: chunks are read raw and unpacked here with a size limit (deflate and shuffle only), so
that a small file cannot become a large array. A constant array, which exporters write for a parameter shared by all
neurons, compresses a thousand to one: it is represented by its single value with stride 0. Only hard links inside the
file are followed, and each object only once.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bl_neuro.errors import ModelFileError
from bl_neuro.files import what_is_at

Tree = dict[str, Any]
"""Names mapped to numeric arrays, strings, nested lists of strings, or trees."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_FILE_BYTES = 2**31
SLACK_BYTES = 2**26
GROWTH = 16
"""Values may occupy SLACK_BYTES + GROWTH x the file's size as float64: a 4-bit weight in float32 compresses to half a
byte."""
VALUE_BYTES = 8
CONSTANT_VALUES = 2**24
"""Maximum total number of values of constant arrays, which bounds the time to unpack them and their copies."""
MAX_OBJECTS = 8192
MAX_DEPTH = 8
MAX_AXES = 8
MAX_TEXTS = 16384
MAX_TEXT = 256
MAX_CHUNKS = 65536
"""Maximum number of chunks of all datasets, which may share chunks."""
_DEFLATE, _SHUFFLE = 1, 2
_TEXT_BYTES = 16
"""Size of a reference to a string in the file: its length and address."""


def read_tree(path: Path) -> Tree:
    """The contents of the HDF5 file `path`.

    Raises:
        ModelFileError: the file is missing, not HDF5, damaged, too large, or contains unsupported objects.
    """
    import h5py

    content = what_is_at(path)
    if content != "a file":
        raise ModelFileError(f"{path}: expected a NIR file, found {content}")
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            if raw.read(len(SIGNATURE)) != SIGNATURE:
                raise ModelFileError(f"{path}: expected an HDF5 file, as NIR files are")
            if size > MAX_FILE_BYTES:
                raise ModelFileError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {size}")
            with h5py.File(path, "r") as file:
                return _Reader(raw, size).group(file, "", 0)
    except _Rejected as error:
        raise ModelFileError(f"{path}: {error}") from error
    except ModelFileError:
        raise
    except Exception as error:  # on damaged files h5py raises almost any exception, also from its C code
        raise ModelFileError(f"{path}: damaged ({type(error).__name__}: {str(error)[:200]})") from error


class _Rejected(Exception):
    """Something in the file is not supported; the message gives its path and the reason."""


@dataclass
class _Reader:
    raw: BinaryIO
    size: int
    visited: set[Any] = field(default_factory=set)
    bytes_left: int = 0
    constants_left: int = CONSTANT_VALUES
    chunks_left: int = MAX_CHUNKS
    texts_left: int = MAX_TEXTS
    heaps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bytes_left = SLACK_BYTES + GROWTH * self.size

    def group(self, group: Any, place: str, depth: int) -> Tree:
        """The contents of `group`. place: its path in messages."""
        import h5py

        if depth > MAX_DEPTH:
            raise _Rejected(f"{place}: expected groups nested at most {MAX_DEPTH} deep")
        if len(group) > MAX_OBJECTS:
            raise _Rejected(f"{place or '/'}: expected at most {MAX_OBJECTS} entries, found {len(group)}")
        tree: Tree = {}
        for name in group:
            path = f"{place}/{name[:MAX_TEXT]}"
            if len(name) > MAX_TEXT or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Rejected(f"{path}: expected a hard link with a short name, found another link or a long name")
            item = group[name]
            self._count(item, path)
            if isinstance(item, h5py.Group):
                tree[name] = self.group(item, path, depth + 1)
            elif isinstance(item, h5py.Dataset):
                tree[name] = self._dataset(item, path)
            else:
                raise _Rejected(f"{path}: expected a group or values, found a named type")
        return tree

    def _count(self, item: Any, path: str) -> None:
        from h5py import h5o

        info = h5o.get_info(item.id)
        if (info.fileno, info.addr) in self.visited or len(self.visited) >= MAX_OBJECTS:
            raise _Rejected(f"{path}: expected each object once, and at most {MAX_OBJECTS} objects")
        self.visited.add((info.fileno, info.addr))

    def _dataset(self, item: Any, path: str) -> Any:
        import h5py

        if item.shape is None or len(item.shape) > MAX_AXES:
            raise _Rejected(f"{path}: expected values with at most {MAX_AXES} axes, found shape {item.shape}")
        plan = item.id.get_create_plist()
        if item.is_virtual or plan.get_external_count():
            raise _Rejected(f"{path}: its values lie in other files, which are not opened")
        if h5py.check_string_dtype(item.dtype) is not None:
            return self._texts(item, path)
        dtype = item.dtype
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or item.id.get_type().get_size() != dtype.itemsize:
            raise _Rejected(f"{path}: expected integers, floats or strings, found {dtype}")
        if item.chunks is not None:
            return self._chunked(item, plan, path)
        self._spend(math.prod(item.shape) * VALUE_BYTES, path)
        if plan.get_nfilters():
            raise _Rejected(f"{path}: filters without chunks")
        stored = item.id.get_storage_size()
        if stored != item.size * dtype.itemsize:
            raise _Rejected(f"{path}: declares {item.size} values, of which the file contains {stored} bytes")
        return np.asarray(item[()])

    def _spend(self, amount: int, path: str) -> None:
        self.bytes_left -= amount
        if self.bytes_left < 0:
            raise _Rejected(f"{path}: {amount} bytes: in total far more than a file of {self.size} bytes can contain")

    def _texts(self, item: Any, path: str) -> Any:
        """A string, or nested lists of strings.

        Variable-length strings are stored in heaps. They are read here, since HDF5's own code can loop forever on a
        damaged heap.
        """
        import h5py

        count = math.prod(item.shape)
        self.texts_left -= count
        if self.texts_left < 0 or item.chunks is not None:
            raise _Rejected(f"{path}: more than {MAX_TEXTS} strings, or strings in chunks")
        length = h5py.check_string_dtype(item.dtype).length or _TEXT_BYTES
        start = item.id.get_offset()
        if length > MAX_TEXT or start is None or item.id.get_storage_size() != count * length:
            raise _Rejected(f"{path}: strings stored in an unsupported way")
        entries = [self._bytes(start + index * length, length, path) for index in range(count)]
        if h5py.check_string_dtype(item.dtype).length is None:
            entries = [self._heap_object(entry, path) for entry in entries]
        texts = np.array([entry.rstrip(b"\0").decode("utf-8") for entry in entries], dtype=object)
        return texts.reshape(item.shape).tolist()

    def _bytes(self, start: int, length: int, path: str) -> bytes:
        self.raw.seek(start)
        data = self.raw.read(length)
        if len(data) != length:
            raise _Rejected(f"{path}: beyond the end of the file")
        return data

    def _heap_object(self, reference: bytes, path: str) -> bytes:
        """The bytes of a reference (length, address of a global heap, index in it)."""
        length, address, index = struct.unpack("<IQI", reference)
        if length > MAX_TEXT:
            raise _Rejected(f"{path}: expected strings of at most {MAX_TEXT} bytes, found {length}")
        if address not in self.heaps:
            self.heaps[address] = self._heap(address, path)
        text = self.heaps[address].get(index)
        if text is None or len(text) < length:
            raise _Rejected(f"{path}: a string that the file does not contain")
        return text[:length]

    def _heap(self, address: int, path: str) -> dict[int, bytes]:
        """The objects of a global heap by index: see "Global Heap" in HDF5's file format specification."""
        if address >= self.size:
            raise _Rejected(f"{path}: beyond the end of the file")
        signature, version, size = struct.unpack("<4sB3xQ", self._bytes(address, 16, path))
        if signature != b"GCOL" or version != 1 or not 16 <= size <= self.size - address:
            raise _Rejected(f"{path}: a damaged heap of strings")
        self._spend(size, path)
        data = self._bytes(address + 16, size - 16, path)
        objects: dict[int, bytes] = {}
        offset = 0
        while offset + 16 <= len(data):
            index, length = struct.unpack_from("<H6xQ", data, offset)
            if index == 0:  # the rest is free space
                break
            if length > len(data) - offset - 16:
                raise _Rejected(f"{path}: a damaged heap of strings")
            objects[index] = data[offset + 16 : offset + 16 + length]
            offset += 16 + (length + 7) // 8 * 8
        return objects

    def _chunked(self, item: Any, plan: Any, path: str) -> Any:
        """Values stored in chunks, unpacked here; with stride 0 if all of them are equal."""
        filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
        if not set(filters) <= {_DEFLATE, _SHUFFLE} or len(set(filters)) != len(filters):
            raise _Rejected(f"{path}: filters {filters}: expected only gzip and shuffle")
        chunk, dtype = item.chunks, item.dtype
        chunk_bytes = math.prod(chunk) * dtype.itemsize
        values, first = None, np.zeros((), dtype)
        if item.size > self.constants_left:
            values = self._room(item, path)
        starts = [range(0, size, step) for size, step in zip(item.shape, chunk)]
        self.chunks_left -= math.prod(map(len, starts))
        if self.chunks_left < 0:
            raise _Rejected(f"{path}: more than {MAX_CHUNKS} chunks")
        self._spend(chunk_bytes, path)
        for number, start in enumerate(itertools.product(*starts)):
            packed = self._chunk(item, start, filters, chunk_bytes, path)
            window = tuple(slice(at, min(at + step, size)) for at, step, size in zip(start, chunk, item.shape))
            inside = tuple(slice(0, extent.stop - extent.start) for extent in window)
            part = np.frombuffer(packed, dtype).reshape(chunk)[inside]
            first = part.flat[0] if number == 0 else first
            if values is None and not (part == first).all():
                values = self._room(item, path)
                values[...] = first
            if values is not None:
                values[window] = part
        if values is not None:
            return values
        self.constants_left -= item.size
        return np.broadcast_to(first, item.shape)

    def _room(self, item: Any, path: str) -> Any:
        self._spend(math.prod(item.shape) * VALUE_BYTES, path)
        return np.empty(item.shape, item.dtype)

    def _chunk(self, item: Any, start: tuple[int, ...], filters: list[int], expected: int, path: str) -> bytes:
        info = item.id.get_chunk_info_by_coord(start)
        if info.byte_offset is None or not 0 < info.size <= self.size:
            raise _Rejected(f"{path}: a chunk that the file does not contain")
        self._spend(info.size, path)  # chunks may overlap
        mask, data = item.id.read_direct_chunk(start)
        if mask:
            raise _Rejected(f"{path}: a chunk that skips filters")
        for name in reversed(filters):
            data = _inflated(data, expected, path) if name == _DEFLATE else _unshuffled(data, item.dtype.itemsize)
        if len(data) != expected:
            raise _Rejected(f"{path}: a chunk of {len(data)} bytes; expected {expected}")
        return bytes(data)


def _inflated(data: bytes, expected: int, path: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(data, expected + 1)
    except zlib.error as error:
        raise _Rejected(f"{path}: a damaged chunk ({error})") from error


def _unshuffled(data: bytes, size: int) -> bytes:
    """Undoes HDF5's shuffle filter, which stores the first bytes of all values, then the second bytes, and so on."""
    if len(data) % size:
        return data
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()
