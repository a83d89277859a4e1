"""Changes in the metadata blocks of HDF5 files, with their checksums repaired, so that HDF5 reads what was changed."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

import numpy as np

CHECKED = (
    *(b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN"),
    *(b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB", b"FSHD", b"FSSE"),
)
"""Signatures of blocks that end in a checksum."""
UNCHECKED = (b"TREE", b"HEAP", b"SNOD", b"GCOL")
MAX_BLOCK_BYTES = 1100
WORD = 2**32 - 1


def change_block(path: Path, rng: np.random.Generator) -> None:
    """Changes one to three bytes of one metadata block of the file, and repairs the checksum of the block, if any."""
    data = bytearray(path.read_bytes())
    blocks = metadata_blocks(bytes(data))
    start, end, checked = blocks[rng.integers(len(blocks))]
    for _ in range(rng.integers(1, 4)):
        position = int(rng.integers(start + 4, max(end, start + 5)))
        value = int(rng.choice([0, 1, 255, 127, 128, int(rng.integers(256)), data[position] ^ (1 << rng.integers(8))]))
        data[position] = value
    if checked:
        data[end : end + 4] = struct.pack("<I", lookup3(bytes(data[start:end])))
    path.write_bytes(data)


@lru_cache(maxsize=32)
def metadata_blocks(data: bytes) -> list[tuple[int, int, bool]]:
    """Start and end of each metadata block, and whether a checksum follows it."""
    blocks = [(0, 44, True) if data[8] >= 2 else (0, 96, False)]  # the superblock, by its version
    for signature in (*CHECKED, *UNCHECKED):
        start = data.find(signature)
        while start >= 0:
            end = _checked_end(data, start) if signature in CHECKED else None
            if end is not None:
                blocks.append((start, end, True))
            elif signature in UNCHECKED:
                blocks.append((start, min(start + 128, len(data)), False))
            start = data.find(signature, start + 1)
    return blocks


def _checked_end(data: bytes, start: int) -> int | None:
    """Where the checksum of the block at `start` lies: the only place with the right value."""
    for end in range(start + 8, min(start + MAX_BLOCK_BYTES, len(data) - 4) + 1):
        if struct.unpack_from("<I", data, end)[0] == lookup3(data[start:end]):
            return end
    return None


def _turned(value: int, places: int) -> int:
    return (value << places | value >> (32 - places)) & WORD


def lookup3(data: bytes) -> int:
    """Bob Jenkins's hash lookup3 (hashlittle, initial value 0), HDF5's checksum of metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & WORD
    position, rest = 0, len(data)
    while rest > 12:
        x, y, z = struct.unpack_from("<III", data, position)
        a, b, c = (a + x) & WORD, (b + y) & WORD, (c + z) & WORD
        a = (a - c) & WORD ^ _turned(c, 4)
        c = (c + b) & WORD
        b = (b - a) & WORD ^ _turned(a, 6)
        a = (a + c) & WORD
        c = (c - b) & WORD ^ _turned(b, 8)
        b = (b + a) & WORD
        a = (a - c) & WORD ^ _turned(c, 16)
        c = (c + b) & WORD
        b = (b - a) & WORD ^ _turned(a, 19)
        a = (a + c) & WORD
        c = (c - b) & WORD ^ _turned(b, 4)
        b = (b + a) & WORD
        position, rest = position + 12, rest - 12
    if not rest:
        return c
    last: tuple[int, int, int] = struct.unpack("<III", data[position:].ljust(12, b"\0"))
    a, b, c = (a + last[0]) & WORD, (b + last[1]) & WORD, (c + last[2]) & WORD
    c = ((c ^ b) - _turned(b, 14)) & WORD
    a = ((a ^ c) - _turned(c, 11)) & WORD
    b = ((b ^ a) - _turned(a, 25)) & WORD
    c = ((c ^ b) - _turned(b, 16)) & WORD
    a = ((a ^ c) - _turned(c, 4)) & WORD
    b = ((b ^ a) - _turned(a, 14)) & WORD
    c = ((c ^ b) - _turned(b, 24)) & WORD
    return c
