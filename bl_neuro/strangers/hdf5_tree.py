"""Reads an untrusted HDF5 file as nested dicts of arrays and strings; every size is checked before reading.

It runs in the process of `reading_child`, since HDF5 itself crashes on some damaged files.

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
from typing import Any, BinaryIO

import numpy as np

from bl_neuro.strangers.budget import VARIABLE
from bl_neuro.strangers.reading_child import Rejected
from bl_neuro.strangers.tree_frames import MAX_AXES, MAX_CONSTANT_VALUES, Refused, Tree

VALUE_BYTES = 8
"""Values count as float64, which they become."""
MAX_OBJECTS = 8192
MAX_KEYS = 4096
MAX_DEPTH = 8
MAX_TEXTS = 16384
MAX_TEXT = 256
MAX_CHUNKS = 65536
"""Maximum number of chunks of all datasets, which may share chunks."""
_DEFLATE, _SHUFFLE = 1, 2
_TEXT_BYTES = 16
"""Size of a reference to a string in the file: its length and address."""


def tree_in(raw: BinaryIO, disk_bytes: int, most_bytes: int, chunks: bool) -> Tree:
    """The contents of an HDF5 file that is open for reading. What cannot be read is a `Refused` in the tree.

    disk_bytes: bytes of the file that are on the disk. most_bytes: that all values together may take. chunks: whether
    arrays may be stored in chunks and compressed.

    Raises:
        Rejected: the file is not HDF5, is damaged, or contains more than the limits of this module.
    """
    import h5py

    size = raw.seek(0, 2)
    raw.seek(0)
    if size == 0:
        raise Rejected("expected an HDF5 file, found an empty file")
    try:
        with h5py.File(raw, "r") as file:
            return _Reader(raw, size, disk_bytes, most_bytes, chunks, file.userblock_size).group(file, "", 0)
    except (Rejected, Refusal) as error:
        raise Rejected(str(error)) from error
    except Exception as error:  # on damaged files h5py raises almost any exception, also from its C code
        signature = "signature not found" in str(error)
        reason = "expected an HDF5 file, found another kind" if signature else f"damaged ({_short(error)})"
        raise Rejected(reason) from error


class Refusal(Exception):
    """One entry of the file is refused; the message gives the reason."""


@dataclass
class _Reader:
    raw: BinaryIO
    size: int
    disk_bytes: int
    most_bytes: int
    chunks: bool
    base: int
    """Offset of the file's addresses: the size of a user block."""
    visited: set[Any] = field(default_factory=set)
    entries_left: int = MAX_OBJECTS
    bytes_left: int = 0
    constants_left: int = MAX_CONSTANT_VALUES
    chunks_left: int = MAX_CHUNKS
    texts_left: int = MAX_TEXTS
    heaps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bytes_left = self.most_bytes

    def group(self, group: Any, place: str, depth: int) -> Tree:
        """The contents of `group`. place: its path in messages."""
        if depth > MAX_DEPTH:
            raise Refusal(f"expected groups nested at most {MAX_DEPTH} deep")
        if len(group) > MAX_KEYS:
            raise Refusal(f"expected at most {MAX_KEYS} keys, found {len(group)}")
        tree: Tree = {}
        for name in group:
            self.entries_left -= 1
            if self.entries_left < 0:
                raise Rejected(f"{place}: expected at most {MAX_OBJECTS} entries in total")
            shown = str(name)[: MAX_TEXT + 1]  # h5py gives bytes where it is not UTF-8
            try:
                tree[shown] = self._entry(group, name, f"{place}/{shown}", depth)
            except Refusal as error:
                tree[shown] = Refused(str(error))
            except (Rejected, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - on damaged files h5py raises almost any exception
                tree[shown] = Refused(f"damaged ({_short(error)})")
        return tree

    def _entry(self, group: Any, name: str, path: str, depth: int) -> Any:
        import h5py
        from h5py import h5o

        if not isinstance(name, str) or len(name) > MAX_TEXT:
            raise Refusal(f"expected a name in UTF-8 of at most {MAX_TEXT} characters")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise Refusal("a link, which is not followed")
        item = group[name]
        info = h5o.get_info(item.id)
        if (info.fileno, info.addr) in self.visited:
            raise Refusal("expected each object once, found a second hard link to it")
        self.visited.add((info.fileno, info.addr))
        if isinstance(item, h5py.Group):
            return self.group(item, path, depth + 1)
        if isinstance(item, h5py.Dataset):
            return self._dataset(item, path)
        raise Refusal("expected a group or values, found a named type")

    def _dataset(self, item: Any, path: str) -> Any:
        import h5py

        if item.shape is None:
            raise Refusal("contains no values")
        if len(item.shape) > MAX_AXES:
            raise Refusal(f"expected values with at most {MAX_AXES} axes, found shape {item.shape}")
        plan = item.id.get_create_plist()
        if item.is_virtual or plan.get_external_count():
            raise Refusal("its values lie in other files, which are not opened")
        if h5py.check_string_dtype(item.dtype) is not None:
            return self._texts(item, path)
        dtype = np.dtype(item.dtype.str)
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or not _is_plain(item):
            raise Refusal(f"expected integers, floats or strings, found {item.dtype}")
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        if item.chunks is not None:
            return self._chunked(item, dtype, plan, path)
        if plan.get_nfilters():
            raise Refusal("filters without chunks")
        stored, count = item.id.get_storage_size(), math.prod(item.shape)
        if stored != count * dtype.itemsize:
            raise Refusal(f"declares {count} values, of which the file contains {stored} bytes")
        self._spend(count * VALUE_BYTES, path)
        start = item.id.get_offset()
        if start is None:  # in the header of the object, or empty
            return np.asarray(item[()]).astype(dtype)
        return np.frombuffer(self._bytes(start, stored), dtype).reshape(item.shape)

    def _spend(self, amount: int, path: str) -> None:
        self.bytes_left -= amount
        if self.bytes_left < 0:
            raise Rejected(
                f"{path}: {amount} bytes of values: in total more than the {self.most_bytes} that a file with "
                f"{self.disk_bytes} bytes on the disk may take; if you trust it, set {VARIABLE} to more MiB"
            )

    def _texts(self, item: Any, path: str) -> Any:
        """A string, or nested lists of strings.

        Variable-length strings are stored in heaps. They are read here, since HDF5's own code can loop forever on a
        damaged heap.
        """
        import h5py

        count = math.prod(item.shape)
        self.texts_left -= count
        if self.texts_left < 0:
            raise Rejected(f"{path}: expected at most {MAX_TEXTS} strings in total")
        if item.chunks is not None:
            raise Refusal("expected contiguous storage, found strings in chunks")
        length = h5py.check_string_dtype(item.dtype).length or _TEXT_BYTES
        start = item.id.get_offset()
        if length > MAX_TEXT or start is None or item.id.get_storage_size() != count * length:
            raise Refusal("strings stored in an unsupported way, or too long")
        entries = [self._bytes(start + index * length, length) for index in range(count)]
        if h5py.check_string_dtype(item.dtype).length is None:
            entries = [self._heap_object(entry, path) for entry in entries]
        texts = np.array([entry.rstrip(b"\0").decode("utf-8") for entry in entries], dtype=object)
        return texts.reshape(item.shape).tolist()

    def _bytes(self, start: int, length: int) -> bytes:
        if not 0 <= start <= self.size - length:
            raise Refusal("beyond the end of the file")
        self.raw.seek(start)
        return self.raw.read(length)

    def _heap_object(self, reference: bytes, path: str) -> bytes:
        """The bytes of a reference (length, address of a global heap, index in it)."""
        length, address, index = struct.unpack("<IQI", reference)
        if length > MAX_TEXT:
            raise Refusal(f"expected strings of at most {MAX_TEXT} bytes, found {length}")
        if address not in self.heaps:
            self.heaps[address] = self._heap(address, path)
        text = self.heaps[address].get(index)
        if text is None or len(text) < length:
            raise Refusal("a string that the file does not contain")
        return text[:length]

    def _heap(self, address: int, path: str) -> dict[int, bytes]:
        """The objects of a global heap by index: see "Global Heap" in HDF5's file format specification."""
        signature, version, size = struct.unpack("<4sB3xQ", self._bytes(self.base + address, 16))
        if signature != b"GCOL" or version != 1 or not 16 <= size <= self.size - address:
            raise Refusal("a damaged heap of strings")
        self._spend(size, path)
        data = self._bytes(self.base + address + 16, size - 16)
        objects: dict[int, bytes] = {}
        offset = 0
        while offset + 16 <= len(data):
            index, length = struct.unpack_from("<H6xQ", data, offset)
            if index == 0:  # the rest is free space
                break
            if length > len(data) - offset - 16:
                raise Refusal("a damaged heap of strings")
            objects[index] = data[offset + 16 : offset + 16 + length]
            offset += 16 + (length + 7) // 8 * 8
        return objects

    def _chunked(self, item: Any, dtype: np.dtype[Any], plan: Any, path: str) -> Any:
        """Values stored in chunks, unpacked here; with stride 0 if all of them are equal."""
        if not self.chunks or self.base:
            raise Refusal("expected contiguous storage, found chunks or filters; h5repack converts them")
        filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
        if not set(filters) <= {_DEFLATE, _SHUFFLE} or len(set(filters)) != len(filters):
            raise Refusal(f"filters {filters}: expected only gzip and shuffle")
        chunk = item.chunks
        chunk_bytes = math.prod(chunk) * dtype.itemsize
        values, first = None, np.zeros((), dtype)
        if item.size > self.constants_left:
            values = self._room(item, dtype, path)
        starts = [range(0, size, step) for size, step in zip(item.shape, chunk)]
        count = math.prod(map(len, starts))
        self.chunks_left -= count
        if self.chunks_left < 0:
            raise Rejected(f"{path}: expected at most {MAX_CHUNKS} chunks in total")
        self._spend(chunk_bytes, path)
        stored = _stored_chunks(item, count)
        for number, start in enumerate(itertools.product(*starts)):
            packed = self._chunk(stored.get(start), filters, dtype.itemsize, chunk_bytes, path)
            window = tuple(slice(at, min(at + step, size)) for at, step, size in zip(start, chunk, item.shape))
            inside = tuple(slice(0, extent.stop - extent.start) for extent in window)
            part = np.frombuffer(packed, dtype).reshape(chunk)[inside]
            first = part.flat[0] if number == 0 else first
            if values is None and not (part == first).all():
                values = self._room(item, dtype, path)
                values[...] = first
            if values is not None:
                values[window] = part
        if values is not None:
            return values
        self.constants_left -= item.size
        return np.broadcast_to(np.asarray(first, dtype), item.shape)

    def _room(self, item: Any, dtype: np.dtype[Any], path: str) -> Any:
        self._spend(math.prod(item.shape) * VALUE_BYTES, path)
        return np.empty(item.shape, dtype)

    def _chunk(self, info: Any, filters: list[int], item_bytes: int, expected: int, path: str) -> bytes:
        if info is None or info.byte_offset is None or info.size <= 0:
            raise Refusal("a chunk that the file does not contain")
        self._spend(info.size, path)  # chunks may overlap
        if info.filter_mask:
            raise Refusal("a chunk that skips filters")
        data = self._bytes(info.byte_offset, info.size)
        for name in reversed(filters):
            data = _inflated(data, expected) if name == _DEFLATE else _unshuffled(data, item_bytes)
        if len(data) != expected:
            raise Refusal(f"a chunk of {len(data)} bytes; expected {expected}")
        return data


def _is_plain(item: Any) -> bool:
    """Whether the file stores values exactly as NumPy does, so that their bytes need no conversion."""
    from h5py import h5t

    kind = item.id.get_type()
    if isinstance(kind, h5t.TypeEnumID):
        kind = kind.get_super()
    plain = np.dtype(np.int8) if item.dtype.kind == "b" else np.dtype(item.dtype.str)
    return bool(kind.equal(h5t.py_create(plain)))


def _stored_chunks(item: Any, expected: int) -> dict[tuple[int, ...], Any]:
    """Where each chunk lies in the file, by its first index. One pass over the index, where h5py can do that."""
    stored: dict[tuple[int, ...], Any] = {}

    def collect(info: Any) -> bool | None:
        stored[info.chunk_offset] = info
        return True if len(stored) > expected else None

    if hasattr(item.id, "chunk_iter"):
        item.id.chunk_iter(collect)
    else:  # HDF5 before 1.12.3: takes quadratic time
        for index in range(min(expected, item.id.get_num_chunks())):
            collect(item.id.get_chunk_info(index))
    return stored


def _inflated(data: bytes, expected: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(data, expected + 1)
    except zlib.error as error:
        raise Refusal(f"a damaged chunk ({error})") from error


def _unshuffled(data: bytes, size: int) -> bytes:
    """Undoes HDF5's shuffle filter, which stores the first bytes of all values, then the second bytes, and so on."""
    if len(data) % size:
        return data
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
