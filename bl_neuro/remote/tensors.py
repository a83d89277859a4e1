"""Tensors in the Open Inference Protocol v2: a datatype, a shape, and values in row-major order."""

from __future__ import annotations

import hashlib
import math
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bl_neuro.backends.inputs import is_held
from bl_neuro.errors import InputError

DATATYPES: dict[str, str] = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""The protocol's datatypes and their NumPy names; little-endian."""
PROTOCOL: dict[str, str] = {**DATATYPES, "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2"}
"""All datatypes that can be read; unsigned integers are read as INT64 and FP16 as FP32."""
_OF_TORCH = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float32: "FP32",
    torch.float64: "FP64",
}

_NUMBERS = {bool, int, float}
"""Python types of JSON numbers; true and false represent BOOL."""


def datatype_of(tensor: Tensor) -> str:
    """The protocol's datatype of `tensor`; InputError if there is none."""
    if tensor.dtype not in _OF_TORCH:
        raise InputError(f"tensor: expected one of {', '.join(DATATYPES)}, found {tensor.dtype}")
    return _OF_TORCH[tensor.dtype]


def to_bytes(tensor: Tensor, datatype: str | None = None) -> bytes:
    """The values of `tensor` in the binary extension's format, in its own datatype or one of `PROTOCOL`."""
    dtype = PROTOCOL[datatype or datatype_of(tensor)]
    values: NDArray[Any] = tensor.contiguous().numpy().astype(dtype, copy=False)
    return values.tobytes()


def from_bytes(
    values: bytes | memoryview, datatype: Any, shape: list[int], datatypes: Mapping[str, str] = DATATYPES
) -> Tensor:
    """The tensor with these bytes; InputError if their number is wrong or `datatype` is unknown."""
    dtype, count = _dtype(datatype, datatypes), _count(shape)
    if len(values) != count * dtype.itemsize:
        raise InputError(
            f"expected {count * dtype.itemsize} bytes for {datatype} of shape {shape}, found {len(values)}"
        )
    if dtype.kind == "b":
        octets = np.frombuffer(values, np.uint8)
        if count and octets.max() > 1:
            raise InputError("expected bytes 0 and 1 for BOOL, found another")
        return _tensor(octets != 0, shape)
    return _tensor(np.frombuffer(values, dtype), shape)


def from_json(values: Any, datatype: Any, shape: list[int], datatypes: Mapping[str, str] = DATATYPES) -> Tensor:
    """The tensor of a nested or flat JSON array; InputError if its values do not match `datatype` or `shape`.

    Memory use is bounded by `shape`, whatever `values` contains.
    """
    dtype, count = _dtype(datatype, datatypes), _count(shape)
    numbers = _numbers(values, shape, count)
    try:
        array = np.asarray(numbers)
    except OverflowError as error:  # an integer beyond the float range, beside a float
        raise InputError(f"data: expected {datatype} values, found one outside its range") from error
    if array.dtype.kind not in "biuf":  # an integer beyond the range of every dtype
        raise InputError(f"data: expected {datatype} values, found one outside its range")
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
    if dtype.kind != "f" and not bool((converted == array).all()):
        raise InputError(f"data: expected {datatype} values, found others")
    return _tensor(converted, shape)


def _numbers(values: Any, shape: list[int], count: int) -> list[Any]:
    """The `count` numbers of a JSON array, flattened level by level; raises before copying a larger level.

    There are at most as many non-empty lists as numbers in them, so each level has at most `count` items.
    """
    level = values if isinstance(values, list) else [values]
    for _ in range(max(1, len(shape))):
        kinds = set(map(type, level))
        if kinds <= _NUMBERS:
            break
        lengths = set(map(len, level)) if kinds == {list} else set()
        if len(lengths) != 1:
            raise InputError("data: expected numbers in a flat list, or in lists of equal lengths")
        if len(level) * max(lengths) > count:
            raise InputError(f"data: expected {count} numbers for shape {shape}, found more")
        level = list(chain.from_iterable(level))
    else:
        raise InputError(f"data: expected at most {len(shape)} levels of nested lists for shape {shape}")
    if len(level) != count:
        raise InputError(f"data: expected {count} numbers for shape {shape}, found {len(level)}")
    return level


def to_json(tensor: Tensor) -> list[Any]:
    """The values as a flat list."""
    values: list[Any] = tensor.flatten().tolist()
    return values


def _dtype(datatype: Any, datatypes: Mapping[str, str]) -> np.dtype[Any]:
    if not isinstance(datatype, str) or datatype not in datatypes:
        raise InputError(f"datatype: expected one of {', '.join(datatypes)}, found {str(datatype)[:20]!r}")
    return np.dtype(datatypes[datatype])


def _count(shape: list[int]) -> int:
    if any(size < 0 for size in shape):
        raise InputError("shape: expected whole numbers of at least 0")
    return math.prod(shape)


def _tensor(values: NDArray[Any], shape: list[int]) -> Tensor:
    dtype = values.dtype.newbyteorder("=")
    if dtype.kind == "u" and dtype.itemsize > 1:
        if dtype.itemsize == 8 and values.size and values.max() >= 2**63:
            raise InputError("expected whole numbers below 2^63, found a larger one")
        dtype = np.dtype(np.int64)
    elif dtype == np.float16:
        dtype = np.dtype(np.float32)
    return torch.from_numpy(values.astype(dtype, copy=True)).reshape(shape)


Packing = Literal["bits", "held"]
PACKINGS: tuple[str, ...] = get_args(Packing)
EXTENSION = "packed_spikes"


def packing_of(spikes: Tensor) -> Packing:
    """The most compact packing of `spikes` (T, B, ...)."""
    return "held" if is_held(spikes) else "bits"


def pack(spikes: Tensor) -> bytes:
    """The bits of `spikes` (T, B, ...), uint8 zeros and ones, in the packing that `packing_of` chooses."""
    frames = spikes[:1] if is_held(spikes) else spikes
    return np.packbits(frames.contiguous().numpy().reshape(-1), bitorder="little").tobytes()


def unpack(values: bytes | memoryview, packing: str, shape: list[int]) -> Tensor:
    """The spikes (T, B, ...) of these bits, uint8; a constant frame is stored in memory once.

    Raises:
        InputError: the packing is unknown, the number of bytes is wrong, or a padding bit is not 0.
    """
    if packing not in PACKINGS:
        raise InputError(f"packed: expected one of {', '.join(PACKINGS)}, found {str(packing)[:20]!r}")
    stored = [1, *shape[1:]] if packing == "held" else shape
    count = math.prod(stored)
    if len(values) != (count + 7) // 8:
        raise InputError(f"expected {(count + 7) // 8} bytes for {count} spikes, found {len(values)}")
    octets = np.frombuffer(values, np.uint8)
    if count % 8 and octets[-1] >> (count % 8):
        raise InputError("expected padding bits of 0, found 1")
    frames = torch.from_numpy(np.unpackbits(octets, count=count, bitorder="little")).reshape(stored)
    return frames.expand(shape)


_SESSION_PREFIX = 64
"""Characters of a session name in a key; the digest distinguishes longer names. Endpoints accept 128 characters."""


class Keys:
    """Idempotency keys: random, or for a `session` derived from the values and how often they were queried.

    A repeated session uses the same keys, whatever the order and encoding of its queries.
    """

    def __init__(self, session: str | None) -> None:
        self._session = session
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    def of(self, values: Tensor, datatype: str) -> str:
        """The key of a request for `values`. datatype: the one in which they are sent."""
        if self._session is None:
            return uuid.uuid4().hex
        hasher = hashlib.sha256(f"{self._session} {datatype} {tuple(values.shape)} ".encode())
        for part in values:  # step by step, so that a constant frame is not copied
            hasher.update(part.contiguous().numpy().data)
        digest = hasher.hexdigest()[:32]
        with self._counting:
            number = self._counts[digest]
            self._counts[digest] += 1
        return f"{self._session[:_SESSION_PREFIX]}-{digest}-{number}"
