"""A stranger's HDF5 file as nested dicts of arrays and strings, with every size checked before anything is read.

HDF5's own filters are not used: chunks are read raw and unpacked here with a bound (deflate and shuffle alone), so that
a small file cannot become a large array. An array of one value throughout, as exporters write a parameter that all
neurons share, packs a thousand to one: it is kept as that value, with stride 0. Only hard links are followed, each
object once; nothing outside the file is.
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
"""Names to arrays of numbers, to strings, to nested lists of strings, or to trees."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_FILE_BYTES = 2**31
SLACK_BYTES = 2**26
GROWTH = 16
"""Values may take up to SLACK_BYTES + GROWTH x the file's size as float64, which they become, in a few copies: a weight
of 4 bits in float32 packs to half a byte."""
VALUE_BYTES = 8
CONSTANT_VALUES = 2**24
"""Most values, in all, of arrays that hold one value throughout: bounds the time to unpack them, and their copies."""
MAX_OBJECTS = 8192
MAX_DEPTH = 8
MAX_AXES = 8
MAX_TEXTS = 16384
MAX_TEXT = 256
MAX_CHUNKS = 65536
"""Most chunks of the file: datasets may share theirs."""
_DEFLATE, _SHUFFLE = 1, 2
_TEXT_BYTES = 16
"""Size in the file of a reference to a string: its length, and where it lies."""


def read_tree(path: Path) -> Tree:
    """Everything in the file `path`.

    Raises:
        ModelFileError: it is missing, no HDF5 file, damaged, too large, or holds what is not read.
    """
    import h5py

    found = what_is_at(path)
    if found != "a file":
        raise ModelFileError(f"{path}: expected a NIR file, found {found}")
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            if raw.read(len(SIGNATURE)) != SIGNATURE:
                raise ModelFileError(f"{path}: not an HDF5 file, which NIR files are")
            if size > MAX_FILE_BYTES:
                raise ModelFileError(f"{path}: {size} bytes; at most {MAX_FILE_BYTES} are read")
            with h5py.File(path, "r") as file:
                return _Reader(raw, size).group(file, "", 0)
    except _Refused as error:
        raise ModelFileError(f"{path}: {error}") from error
    except ModelFileError:
        raise
    except Exception as error:  # on damaged files h5py raises nearly anything, also from inside its C code
        raise ModelFileError(f"{path}: damaged ({type(error).__name__}: {str(error)[:200]})") from error


class _Refused(Exception):
    """Something in the file is not read; says what, where and why."""


@dataclass
class _Reader:
    raw: BinaryIO
    size: int
    seen: set[Any] = field(default_factory=set)
    bytes_left: int = 0
    constants_left: int = CONSTANT_VALUES
    chunks_left: int = MAX_CHUNKS
    texts_left: int = MAX_TEXTS
    heaps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bytes_left = SLACK_BYTES + GROWTH * self.size

    def group(self, group: Any, place: str, depth: int) -> Tree:
        """What is in `group`, called `place` in messages."""
        import h5py

        if depth > MAX_DEPTH:
            raise _Refused(f"{place}: groups inside groups, deeper than {MAX_DEPTH}")
        if len(group) > MAX_OBJECTS:
            raise _Refused(f"{place or '/'}: at most {MAX_OBJECTS} entries, found {len(group)}")
        tree: Tree = {}
        for name in group:
            where = f"{place}/{name[:MAX_TEXT]}"
            if len(name) > MAX_TEXT or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{where}: expected a plain entry with a short name, found a link or a long name")
            item = group[name]
            self._count(item, where)
            if isinstance(item, h5py.Group):
                tree[name] = self.group(item, where, depth + 1)
            elif isinstance(item, h5py.Dataset):
                tree[name] = self._dataset(item, where)
            else:
                raise _Refused(f"{where}: expected a group or values, found a named type")
        return tree

    def _count(self, item: Any, where: str) -> None:
        from h5py import h5o

        info = h5o.get_info(item.id)
        if (info.fileno, info.addr) in self.seen or len(self.seen) >= MAX_OBJECTS:
            raise _Refused(f"{where}: reached twice, or more than {MAX_OBJECTS} objects")
        self.seen.add((info.fileno, info.addr))

    def _dataset(self, item: Any, where: str) -> Any:
        import h5py

        if item.shape is None or len(item.shape) > MAX_AXES:
            raise _Refused(f"{where}: expected values with at most {MAX_AXES} axes, found shape {item.shape}")
        plan = item.id.get_create_plist()
        if item.is_virtual or plan.get_external_count():
            raise _Refused(f"{where}: its values lie in other files, which are not opened")
        if h5py.check_string_dtype(item.dtype) is not None:
            return self._texts(item, where)
        dtype = item.dtype
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or item.id.get_type().get_size() != dtype.itemsize:
            raise _Refused(f"{where}: expected integers, floats or strings, found {dtype}")
        if item.chunks is not None:
            return self._chunked(item, plan, where)
        self._spend(math.prod(item.shape) * VALUE_BYTES, where)
        if plan.get_nfilters():
            raise _Refused(f"{where}: filters without chunks")
        held = item.id.get_storage_size()
        if held != item.size * dtype.itemsize:
            raise _Refused(f"{where}: states {item.size} values, of which the file holds {held} bytes")
        return np.asarray(item[()])

    def _spend(self, amount: int, where: str) -> None:
        self.bytes_left -= amount
        if self.bytes_left < 0:
            raise _Refused(f"{where}: {amount} bytes: with the others, far more than a file of {self.size} bytes holds")

    def _texts(self, item: Any, where: str) -> Any:
        """A string, or nested lists of strings.

        Strings of any length lie in heaps, through a damaged one of which HDF5's own code can run for ever: they are
        read here.
        """
        import h5py

        count = math.prod(item.shape)
        self.texts_left -= count
        if self.texts_left < 0 or item.chunks is not None:
            raise _Refused(f"{where}: more than {MAX_TEXTS} strings, or strings in chunks")
        length = h5py.check_string_dtype(item.dtype).length or _TEXT_BYTES
        start = item.id.get_offset()
        if length > MAX_TEXT or start is None or item.id.get_storage_size() != count * length:
            raise _Refused(f"{where}: strings stored in a way that is not read")
        entries = [self._bytes(start + index * length, length, where) for index in range(count)]
        if h5py.check_string_dtype(item.dtype).length is None:
            entries = [self._heap_object(entry, where) for entry in entries]
        texts = np.array([entry.rstrip(b"\0").decode("utf-8") for entry in entries], dtype=object)
        return texts.reshape(item.shape).tolist()

    def _bytes(self, start: int, length: int, where: str) -> bytes:
        self.raw.seek(start)
        data = self.raw.read(length)
        if len(data) != length:
            raise _Refused(f"{where}: beyond the end of the file")
        return data

    def _heap_object(self, reference: bytes, where: str) -> bytes:
        """The bytes that a reference (length, address of a global heap, index in it) stands for."""
        length, address, index = struct.unpack("<IQI", reference)
        if length > MAX_TEXT:
            raise _Refused(f"{where}: a string of {length} bytes; at most {MAX_TEXT} are read")
        if address not in self.heaps:
            self.heaps[address] = self._heap(address, where)
        found = self.heaps[address].get(index)
        if found is None or len(found) < length:
            raise _Refused(f"{where}: a string that the file does not hold")
        return found[:length]

    def _heap(self, address: int, where: str) -> dict[int, bytes]:
        """The objects of a global heap by index: see "Global Heap" in HDF5's file format specification."""
        if address >= self.size:
            raise _Refused(f"{where}: beyond the end of the file")
        signature, version, size = struct.unpack("<4sB3xQ", self._bytes(address, 16, where))
        if signature != b"GCOL" or version != 1 or not 16 <= size <= self.size - address:
            raise _Refused(f"{where}: a damaged heap of strings")
        self._spend(size, where)
        data = self._bytes(address + 16, size - 16, where)
        objects: dict[int, bytes] = {}
        at = 0
        while at + 16 <= len(data):
            index, length = struct.unpack_from("<H6xQ", data, at)
            if index == 0:  # what is left is free
                break
            if length > len(data) - at - 16:
                raise _Refused(f"{where}: a damaged heap of strings")
            objects[index] = data[at + 16 : at + 16 + length]
            at += 16 + (length + 7) // 8 * 8
        return objects

    def _chunked(self, item: Any, plan: Any, where: str) -> Any:
        """Values stored in chunks, unpacked here; with stride 0 where all of them are the same."""
        filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
        if [each for each in filters if each not in (_DEFLATE, _SHUFFLE)] or len(set(filters)) != len(filters):
            raise _Refused(f"{where}: filters {filters}: expected gzip and shuffle at most")
        chunk, dtype = item.chunks, item.dtype
        chunk_bytes = math.prod(chunk) * dtype.itemsize
        values, first = None, np.zeros((), dtype)
        if item.size > self.constants_left:
            values = self._room(item, where)
        starts = [range(0, size, step) for size, step in zip(item.shape, chunk)]
        self.chunks_left -= math.prod(map(len, starts))
        if self.chunks_left < 0:
            raise _Refused(f"{where}: more than {MAX_CHUNKS} chunks")
        self._spend(chunk_bytes, where)
        for number, start in enumerate(itertools.product(*starts)):
            packed = self._chunk(item, start, filters, chunk_bytes, where)
            window = tuple(slice(at, min(at + step, size)) for at, step, size in zip(start, chunk, item.shape))
            inside = tuple(slice(0, each.stop - each.start) for each in window)
            part = np.frombuffer(packed, dtype).reshape(chunk)[inside]
            first = part.flat[0] if number == 0 else first
            if values is None and not (part == first).all():
                values = self._room(item, where)
                values[...] = first
            if values is not None:
                values[window] = part
        if values is not None:
            return values
        self.constants_left -= item.size
        return np.broadcast_to(first, item.shape)

    def _room(self, item: Any, where: str) -> Any:
        self._spend(math.prod(item.shape) * VALUE_BYTES, where)
        return np.empty(item.shape, item.dtype)

    def _chunk(self, item: Any, start: tuple[int, ...], filters: list[int], expected: int, where: str) -> bytes:
        info = item.id.get_chunk_info_by_coord(start)
        if info.byte_offset is None or not 0 < info.size <= self.size:
            raise _Refused(f"{where}: a chunk that the file does not hold")
        self._spend(info.size, where)  # chunks may lie over one another
        mask, data = item.id.read_direct_chunk(start)
        if mask:
            raise _Refused(f"{where}: a chunk that skips filters")
        for name in reversed(filters):
            data = _inflated(data, expected, where) if name == _DEFLATE else _unshuffled(data, item.dtype.itemsize)
        if len(data) != expected:
            raise _Refused(f"{where}: a chunk of {len(data)} bytes; expected {expected}")
        return bytes(data)


def _inflated(data: bytes, expected: int, where: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(data, expected + 1)
    except zlib.error as error:
        raise _Refused(f"{where}: a damaged chunk ({error})") from error


def _unshuffled(data: bytes, size: int) -> bytes:
    """Undoes HDF5's shuffle, which stores the first bytes of all values, then the second ones."""
    if len(data) % size:
        return data
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()
