"""Checks untrusted PNG files, chunk by chunk, and keeps what a decoder needs."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from bl_neuro.strangers.budget import MOST_PIXELS
from bl_neuro.strangers.rotation import need_no_other_rotation, png_orientations

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")
"""Chunks that a decoder gets; others, such as text, colour profiles and gamma, are dropped."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8), 2: (8,), 3: (1, 2, 4, 8), 4: (8,), 6: (8,)}
"""Bits per channel that are read, by colour type."""
MOST_EXIF = 2**16
MOST_CHUNKS = 2**18
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column and their steps in each pass of an interlaced image."""


@dataclass(frozen=True)
class Header:
    """What the IHDR chunk says."""

    height: int
    width: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def raw_bytes(self) -> int:
        """Number of bytes of the unpacked rows, each with one byte for its filter."""
        passes = ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [
            (len(range(row, self.height, down)), len(range(column, self.width, right)))
            for row, column, down, right in passes
        ]
        bits = self.depth * CHANNELS[self.colour]
        return sum(rows * (1 + (columns * bits + 7) // 8) for rows, columns in sizes if rows and columns)


def png_header(content: bytes) -> Header:
    """The header, from the first 33 bytes of a file.

    Raises:
        ValueError: it is damaged, or says that the image is too large or has more than 8 bits per channel.
    """
    if len(content) < 33 or content[:8] != SIGNATURE or content[8:16] != b"\0\0\0\rIHDR":
        raise ValueError("damaged: its header cannot be read")
    width, height, depth, colour, packing, filters, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if zlib.crc32(content[12:29]) != int.from_bytes(content[29:33], "big"):
        raise ValueError("damaged: the checksum of its header is wrong")
    if colour in CHANNELS and depth == 16:
        raise ValueError("expected 8 bits per channel, found 16")
    if depth not in DEPTHS.get(colour, ()) or packing or filters or interlaced > 1:
        raise ValueError("damaged: its header is contradictory")
    if not 1 <= width * height <= MOST_PIXELS:
        raise ValueError(f"expected 1..{MOST_PIXELS} pixels, found {height} x {width}")
    return Header(height, width, depth, colour, bool(interlaced))


def checked_png(content: bytes) -> bytes:
    """The file with only the chunks that a decoder needs, after it was checked.

    Raises:
        ValueError: a checksum is wrong, the image is not as large as the header says, something follows the image, it
            is animated, or it states a rotation elsewhere than in its EXIF data.
    """
    header = png_header(content)
    chunks = _chunks(content)
    names = [name for name, _ in chunks]
    if b"acTL" in names:
        raise ValueError("expected a single image, found an animated PNG")
    _need_order(names, header)
    exif = [data for name, data in chunks if name == b"eXIf"]
    if any(len(data) > MOST_EXIF for data in exif):
        raise ValueError(f"expected at most {MOST_EXIF} bytes of EXIF data, found {len(exif[0])}")
    need_no_other_rotation(exif, png_orientations(chunks))
    palette = len(next((data for name, data in chunks if name == b"PLTE"), b"")) // 3
    if header.colour == 3 and not 1 <= palette <= 2**header.depth:
        raise ValueError(f"damaged: a palette of {palette} colours")
    _need_rows(header, b"".join(data for name, data in chunks if name == b"IDAT"))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
        if name in KEPT
    )


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    position = len(SIGNATURE)
    while not chunks or chunks[-1][0] != b"IEND":
        length, name = struct.unpack(">I4s", content[position : position + 8].ljust(8, b"\0"))
        end = position + 12 + length
        if end > len(content) or len(chunks) >= MOST_CHUNKS:
            raise ValueError("damaged: cut short")
        data = content[position + 8 : end - 4]
        if zlib.crc32(name + data) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError(f"damaged: the checksum of chunk {name.decode('latin-1')} is wrong")
        if name[:1].isupper() and name not in KEPT:
            raise ValueError(f"expected chunks of the PNG standard, found {name.decode('latin-1')}")
        chunks.append((name, data))
        position = end
    if position != len(content):
        raise ValueError(f"damaged: {len(content) - position} bytes follow the image")
    return chunks


def _need_order(names: list[bytes], header: Header) -> None:
    pixels = [number for number, name in enumerate(names) if name == b"IDAT"]
    contiguous = pixels and pixels[-1] - pixels[0] + 1 == len(pixels)
    once = all(names.count(name) <= 1 for name in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"))
    before = all(names.index(name) < pixels[0] for name in (b"PLTE", b"tRNS") if name in names) if pixels else False
    palette = b"PLTE" in names
    if not (contiguous and once and before) or (header.colour == 3) > palette or (palette and header.colour in (0, 4)):
        raise ValueError("damaged: its chunks are missing, repeated or out of order")


def _need_rows(header: Header, packed: bytes) -> None:
    """Checks that the image data unpack to exactly the rows that the header promises."""
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(packed, header.raw_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: its pixels cannot be unpacked ({error})") from error
    if len(rows) == header.raw_bytes and not unpacker.eof:
        rows += unpacker.decompress(unpacker.unconsumed_tail, 1)  # reads the checksum at the end
    if len(rows) != header.raw_bytes or not unpacker.eof or unpacker.unused_data:
        raise ValueError(
            f"damaged: its header promises {header.height} x {header.width} pixels, and it holds "
            f"{'fewer' if len(rows) < header.raw_bytes else 'more'}, or its end is missing"
        )
