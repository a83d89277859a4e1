"""Decodes the Huffman codes of a JPEG scan, in order to count the bytes that its blocks take (ITU-T T.81, F and G)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Codes = dict[str, int]
"""Symbols by their bits."""
MOST_BITS = 16
BLOCK_VALUES, RUN_OF_ZEROS = 64, 16


def unused_bytes(
    tables: Sequence[bytes], blocks: Sequence[tuple[int, int, int]], units: int, data: bytes, means_only: bool
) -> int:
    """Number of bytes of `data`, the first scan of an image, after its last block.

    tables: contents of the segments that define codes. blocks: for each component the numbers of its tables for mean
    values and for the others, and its number of blocks in a unit. units: number of units. means_only: whether the scan
    contains only mean values.

    Raises:
        ValueError: a code or a table is not defined.
    """
    codes = _codes(tables)
    content = data.replace(b"\xff\x00", b"\xff")
    bits = "".join(f"{byte:08b}" for byte in content)
    unit = [
        (codes.get((0, mean), {}), codes.get((1, other), {})) for mean, other, count in blocks for _ in range(count)
    ]
    position = 0
    for _ in range(units):
        for means, others in unit:
            position = _after_block(bits, position, means, None if means_only else others)
    return len(content) - -(-position // 8)


def _codes(tables: Sequence[bytes]) -> dict[tuple[int, int], Codes]:
    """The codes by class (0 for mean values, 1 for others) and number of the table."""
    codes: dict[tuple[int, int], Codes] = {}
    for table in tables:
        position = 0
        while position < len(table):
            counts, start = table[position + 1 : position + 17], position + 17
            name = table[position] >> 4, table[position] & 15
            position = start + sum(counts)
            codes[name] = dict(zip(_bits(counts), table[start:position]))
    return codes


def _bits(counts: bytes) -> Iterator[str]:
    """The bits of the codes, of which there are `counts` with 1 bit, 2 bits and so on."""
    code = 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            yield f"{code:0{length}b}"
            code += 1
        code <<= 1


def _after_block(bits: str, position: int, means: Codes, others: Codes | None) -> int:
    """The position after one block."""
    symbol, position = _symbol(bits, position, means)
    position += symbol
    values = 1
    while others is not None and values < BLOCK_VALUES:
        symbol, position = _symbol(bits, position, others)
        zeros, length = symbol >> 4, symbol & 15
        if length == 0 and zeros < RUN_OF_ZEROS - 1:  # the end of the block
            break
        values += zeros + 1
        position += length
    return position


def _symbol(bits: str, position: int, codes: Codes) -> tuple[int, int]:
    """The symbol at a position, and the position after it."""
    for length in range(1, MOST_BITS + 1):
        symbol = codes.get(bits[position : position + length])
        if symbol is not None:
            return symbol, position + length
    raise ValueError("damaged: its pixels contain an unknown code")
