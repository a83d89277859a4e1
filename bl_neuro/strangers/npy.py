"""Reader of NumPy's `.npy` format, which checks header and size and never unpickles."""

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
"""Exceptions besides ValueError that NumPy raises on damaged headers."""


def read_npy(content: bytes, kinds: str = "biuf") -> npt.NDArray[Any]:
    """The array in the content of a `.npy` file.

    kinds: allowed kinds of dtype, as NumPy's letters; by default bool, integers and floats. "U" is text.

    Raises:
        ValueError: the content is damaged, of another kind or of an unknown version.
    """
    file = io.BytesIO(content)
    numpy_format: Any = np.lib.format  # partly untyped in NumPy 1
    try:
        version = numpy_format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"expected a NumPy file of version 1.0 or 2.0, found {version}")
        read_header = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
    except DAMAGE as error:
        raise ValueError("damaged: its header cannot be read") from error
    if dtype.hasobject or dtype.kind not in kinds:
        raise ValueError(f"expected an array of {_kind_names(kinds)}, found {dtype}")
    size = len(content) - file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"damaged: {size} bytes of values do not make an array {shape} of {dtype}")
    if not size:
        return np.empty(shape, dtype)
    values = np.frombuffer(content, dtype, offset=file.tell())
    return values.reshape(shape, order="F" if fortran else "C").copy(order="C")


def _kind_names(kinds: str) -> str:
    names = [name for kind, name in {"b": "bool", "i": "integers", "f": "floats", "U": "text"}.items() if kind in kinds]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
