"""Reader of untrusted idx files of bytes, as MNIST is stored."""

from __future__ import annotations

import math

import numpy as np

from bl_neuro.arrays import SpikeArray

GZIP = b"\x1f\x8b"
BYTES = 8
"""The type code of unsigned bytes."""


def read_idx(content: bytes, dimensions: int) -> SpikeArray:
    """The array in an idx file of bytes with this number of dimensions.

    Raises:
        ValueError: the file is compressed, contains an array of another kind, or is damaged.
    """
    if content[:2] == GZIP:
        raise ValueError("compressed with gzip; unpack it, for example with gunzip")
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError("damaged idx file, or not an idx file; download it again")
    kind, found_dimensions = content[2], content[3]
    if kind != BYTES or found_dimensions != dimensions:
        raise ValueError(
            f"expected an idx file of bytes with {dimensions} dimensions (magic number {BYTES << 8 | dimensions}), "
            f"found magic number {kind << 8 | found_dimensions}; is the file misnamed?"
        )
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[place : place + 4], "big") for place in range(4, start, 4))
    if len(content) < start or math.prod(shape) != len(content) - start:
        raise ValueError(
            f"damaged idx file: its header promises {' x '.join(map(str, shape))} bytes, and "
            f"{max(0, len(content) - start)} follow; download it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
