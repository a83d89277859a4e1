"""Reader of NumPy's `.npy` format, which checks header and size and never unpickles."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import warnings
from typing import IO, Any

import numpy as np
import numpy.typing as npt

DAMAGE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError,
    tokenize.TokenError,
)  # fmt: skip
"""Exceptions besides ValueError that NumPy raises on damaged headers."""


MOST_HEADER = 2**14
"""Maximum number of bytes of a header; NumPy refuses to parse longer ones."""
BLOCK = 2**20
MOST_REASON = 200


def read_npy(content: bytes, kinds: str = "biuf") -> npt.NDArray[Any]:
    """The array in the content of a `.npy` file; see `read_npy_stream`."""
    return read_npy_stream(io.BytesIO(content), len(content), kinds)


def read_npy_stream(file: IO[bytes], length: int, kinds: str = "biuf") -> npt.NDArray[Any]:
    """The array in a `.npy` file of `length` bytes, read from its start. Takes memory for the array alone.

    kinds: allowed kinds of dtype, as NumPy's letters; by default bool, integers and floats. "U" is text.

    Raises:
        ValueError: the content is damaged, of another kind, of another length or of an unknown version.
    """
    shape, fortran, dtype, start = _header(file)
    if dtype.hasobject or dtype.kind not in kinds:
        raise ValueError(f"expected an array of {_kind_names(kinds)}, found {dtype}")
    if any(type(side) is not int or not 0 <= side < 2**62 for side in shape):
        raise ValueError(f"damaged: expected a shape of whole numbers, found {shape}")
    size = length - start
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"damaged: {size} bytes of values do not make an array {shape} of {dtype}")
    values = np.empty(shape[::-1] if fortran else shape, dtype)
    _fill(file, values.reshape(-1).view(np.uint8))
    _need_defined(values)
    return values.T.copy(order="C") if fortran else values


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether it is in Fortran's order, dtype and length of the header."""
    numpy_format: Any = np.lib.format  # partly untyped in NumPy 1
    counted = _Counted(file)
    try:
        version = numpy_format.read_magic(counted)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"expected a NumPy file of version 1.0 or 2.0, found {version}")
        read_header = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2, which NumPy reads all the same
            shape, fortran, dtype = read_header(counted)
    except DAMAGE as error:
        raise ValueError("damaged: its header cannot be read") from error
    except ValueError as error:  # NumPy goes on with advice to unpickle
        raise ValueError(str(error).splitlines()[0][:MOST_REASON]) from error
    return shape, fortran, dtype, counted.count


class _Counted:
    """A stream that counts the bytes of a header, and ends where headers are too long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or fewer."""
        data = self._file.read(min(size, MOST_HEADER - self.count))
        self.count += len(data)
        return data


def _fill(file: IO[bytes], target: npt.NDArray[np.uint8]) -> None:
    """Reads exactly as many bytes as `target` holds, and checks that none follow."""
    position = 0
    while position < len(target):
        data = file.read(min(BLOCK, len(target) - position))
        if not data:
            raise ValueError(f"damaged: cut short after {position} bytes of values")
        target[position : position + len(data)] = np.frombuffer(data, np.uint8)
        position += len(data)
    if file.read(1):
        raise ValueError("damaged: bytes follow the values")


def _need_defined(values: npt.NDArray[Any]) -> None:
    """Checks that bytes of bool are 0 or 1, and that letters are code points of Unicode."""
    flat = values.reshape(-1)
    if values.dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
        raise ValueError("damaged: expected bool values of 0 and 1, found other bytes")
    if values.dtype.kind == "U" and flat.view(values.dtype.byteorder + "u4").max(initial=0) > sys.maxunicode:
        raise ValueError("damaged: expected text, found numbers that are no letters")


def _kind_names(kinds: str) -> str:
    names = [name for kind, name in {"b": "bool", "i": "integers", "f": "floats", "U": "text"}.items() if kind in kinds]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
