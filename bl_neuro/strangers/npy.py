"""NumPy's file format, read only where header and size agree, and never unpickled."""

from __future__ import annotations

import io
import math
import tokenize
from typing import Any

import numpy as np
import numpy.typing as npt

DAMAGE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError,
    tokenize.TokenError,
)  # fmt: skip
"""What NumPy raises on damaged headers, beside ValueError."""


def read_npy(content: bytes, kinds: str = "biuf") -> npt.NDArray[Any]:
    """The array that the content of a `.npy` file holds.

    kinds: the kinds of dtype that are expected, as NumPy's letters: bool, integers and floats; "U" is text.

    Raises:
        ValueError: it is damaged, of another kind or of an unknown version.
    """
    file = io.BytesIO(content)
    numpy_format: Any = np.lib.format  # partly untyped in NumPy 1
    try:
        version = numpy_format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"a NumPy file of version {version}; expected 1.0 or 2.0")
        read = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except DAMAGE as error:
        raise ValueError("damaged: its header cannot be read") from error
    if dtype.hasobject or dtype.kind not in kinds:
        raise ValueError(f"expected an array of {_told(kinds)}, found {dtype}")
    found = len(content) - file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != found:
        raise ValueError(f"damaged: {found} bytes of values do not make an array {shape} of {dtype}")
    if not found:
        return np.empty(shape, dtype)
    values = np.frombuffer(content, dtype, offset=file.tell())
    return values.reshape(shape, order="F" if fortran else "C").copy(order="C")


def _told(kinds: str) -> str:
    names = [name for kind, name in {"b": "bool", "i": "integers", "f": "floats", "U": "text"}.items() if kind in kinds]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
