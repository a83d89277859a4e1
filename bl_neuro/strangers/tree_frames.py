"""A tree of arrays and strings as one message between processes: JSON, then the bytes of the arrays. Never a pickle.

    header: 4 bytes (length of the JSON), 8 bytes (length of the values), little endian
    JSON:   a group is {"group": {name: entry}}, an array {"array": [dtype, shape, constant]}, a string or nested list
            of strings {"text": ...}, an entry that could not be read {"refused": reason}

The values of the arrays follow in the order of the JSON, each aligned to 8 bytes. Of a constant array only its single
value is sent.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Tree = dict[str, Any]
"""Names mapped to numeric arrays, strings, nested lists of strings, `Refused`, or trees."""
HEADER = struct.Struct("<IQ")
MAX_JSON_BYTES = 2**26
MAX_AXES = 8
MAX_CONSTANT_VALUES = 2**24
"""Maximum total number of values of constant arrays, which bounds the time to unpack them and their copies."""
ALIGNMENT = 8
Receive = Callable[[int], bytearray]


@dataclass(frozen=True)
class Refused:
    """In the place of an entry of a file that could not be read, with the reason."""

    reason: str


class InvalidFrame(ValueError):
    """A message is not one of this module."""


def encoded_tree(tree: Tree) -> list[bytes | memoryview]:
    """The parts of the message with `tree`, to be sent one after another."""
    values: list[bytes | memoryview] = []
    entry = json.dumps(_described(tree, values)).encode()
    total = sum(len(part) for part in values)
    return [HEADER.pack(len(entry), total), entry, *values]


def _described(entry: Any, values: list[bytes | memoryview]) -> dict[str, Any]:
    if isinstance(entry, dict):
        return {"group": {name: _described(part, values) for name, part in entry.items()}}
    if isinstance(entry, Refused):
        return {"refused": entry.reason}
    if not isinstance(entry, np.ndarray):
        return {"text": entry}
    constant = entry.size > 1 and not any(entry.strides)
    array = np.ascontiguousarray(entry[(0,) * entry.ndim] if constant else entry)
    values.append(array.reshape(-1).view(np.uint8).data)
    values.append(bytes(-array.nbytes % ALIGNMENT))
    return {"array": [entry.dtype.str, entry.shape, constant]}


def received_tree(receive: Receive, max_bytes: int) -> Tree:
    """The tree of a message, whose content is not trusted.

    receive: returns exactly that many bytes, or raises. max_bytes: maximum number of bytes of all arrays.

    Raises:
        InvalidFrame: the message is invalid or too large.
    """
    length, total = HEADER.unpack(receive(HEADER.size))
    if length > MAX_JSON_BYTES or total > max_bytes:
        raise InvalidFrame(f"expected at most {MAX_JSON_BYTES} and {max_bytes} bytes, found {length} and {total}")
    entry, values = receive(length), receive(total)
    try:
        tree = _Decoder(values).entry(json.loads(entry))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, MemoryError) as error:
        raise InvalidFrame(f"malformed ({error})") from error
    if not isinstance(tree, dict):
        raise InvalidFrame("expected a group")
    return tree


class _Decoder:
    def __init__(self, values: bytearray) -> None:
        self.values, self.position, self.constants = values, 0, 0

    def entry(self, described: Any) -> Any:
        ((kind, content),) = described.items()
        if kind == "group":
            return {name: self.entry(part) for name, part in content.items()}
        if kind == "refused" and isinstance(content, str):
            return Refused(content)
        if kind == "text" and _is_text(content):
            return content
        if kind == "array":
            return self.array(*content)
        raise InvalidFrame(f"unknown entry {str(kind)[:40]!r}")

    def array(self, stated: str, stated_shape: list[int], constant: bool) -> Any:
        dtype, shape = np.dtype(stated), tuple(stated_shape)
        if dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype.subdtype is not None or len(shape) > MAX_AXES:
            raise InvalidFrame(f"an array of {dtype} with {len(shape)} axes")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise InvalidFrame("a shape that is not one")
        count = math.prod(shape)
        if constant:
            self.constants += count
            if self.constants > MAX_CONSTANT_VALUES:
                raise InvalidFrame(f"more than {MAX_CONSTANT_VALUES} values of constant arrays")
            return np.broadcast_to(self.flat(dtype, 1)[0], shape)
        return self.flat(dtype, count).reshape(shape)

    def flat(self, dtype: np.dtype[Any], count: int) -> Any:
        start, size = self.position, count * dtype.itemsize
        if size > len(self.values) - start:
            raise InvalidFrame("an array beyond the end of the message")
        self.position += size + -size % ALIGNMENT
        return np.frombuffer(self.values, dtype, count, start) if count else np.empty(0, dtype)


def _is_text(content: Any) -> bool:
    return isinstance(content, str) or (isinstance(content, list) and all(map(_is_text, content)))
