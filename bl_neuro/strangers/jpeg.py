"""Checks untrusted JPEG files, segment by segment, and keeps what a decoder needs.

libjpeg fills missing pixels with grey, ignores superfluous ones, and does not say so. `CheckedJpeg` therefore has
variants of the file with noise after its pixels. A whole image decodes to the same picture; and if its header is
changed so that the image is taller, the additional pixels come from the noise. Where they do not, `jpeg_codes` counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bl_neuro.strangers.budget import MOST_PIXELS
from bl_neuro.strangers.jpeg_codes import BLOCK_VALUES, unused_bytes
from bl_neuro.strangers.rotation import XMP_HEADER, need_no_other_rotation, xmp_orientation

JPEG = b"\xff\xd8"
"""The first bytes of a file."""
FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive images with Huffman codes."""
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
MARKER = re.compile(rb"\xff+[^\x00\xff]")
AFTER_PIXELS = re.compile(rb"\xff[^\x00\xff]")
"""Finds a marker in linear time, but not the additional bytes 0xFF that may precede it."""
RESTARTS = range(0xD0, 0xD8)
SCAN, END, CODES, INTERVAL, APP0, APP1, ADOBE, COMMENT = 0xDA, 0xD9, 0xC4, 0xDD, 0xE0, 0xE1, 0xEE, 0xFE
EXIF_HEADER = b"Exif\0\0"
MOST_SCANS = 64
"""Maximum number of scans; encoders write up to 14. Each scan decodes the whole image, which takes time."""
MOST_DECODED = 16 * MOST_PIXELS
"""Maximum number of pixels of all scans together."""
MOST_SEGMENTS = 2**12
"""Maximum number of segments. One has up to 64 KiB, and a file up to 256 MiB."""
MOST_INTERVALS = 2**18
"""Maximum number of intervals between restart markers, of all scans together."""
NOISE = [bytes(row) for row in np.random.default_rng(0).integers(0, 255, (8, 512), dtype=np.uint8)]
"""Bytes without 0xFF, which would start a marker."""
MOST_NOISE = 2**25
"""Number of bytes of noise in all intervals together, if these are many."""
TALLEST = 65500
"""Maximum number of rows that libjpeg decodes."""
MISSING = 16
"""The number of bits that are missing of a value before its first scan; more than any scan leaves out."""


@dataclass
class _Scan:
    """One scan. header: a number of components, an identifier and tables of each, and what it contains of them.

    interval: number of units between two restart markers, or 0 for no such markers. pixels: its parts with pixels.
    """

    header: bytes
    interval: int
    pixels: list[int] = field(default_factory=list)

    @property
    def components(self) -> bytes:
        """Their identifiers."""
        return self.header[1 : 1 + 2 * self.header[0] : 2]


@dataclass
class _Segments:
    """The parts of a file: bytes of headers, and of pixels between two markers."""

    parts: list[tuple[bool, bytes]]
    frame: bytes = b""
    frame_part: int = 0
    scans: list[_Scan] = field(default_factory=list)
    interval: int = 0
    """That of the next scan."""
    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        return int.from_bytes(self.frame[1:3], "big"), int.from_bytes(self.frame[3:5], "big")

    @property
    def progressive(self) -> bool:
        """Whether the first scan contains mean values only, and the others the rest."""
        return self.parts[self.frame_part][1][1] == FRAMES[2]

    @property
    def sampling(self) -> dict[int, tuple[int, int]]:
        """Number of blocks of 8 x 8 values of each component in a unit, down and across."""
        return {
            self.frame[at]: (self.frame[at + 1] & 15, self.frame[at + 1] >> 4) for at in range(6, len(self.frame), 3)
        }

    @property
    def unit(self) -> tuple[int, int]:
        """Height and width in pixels of the units of which the first scan has a whole number."""
        down, across = self._most
        components = self.scans[0].components
        if len(components) > 1:  # they are interleaved
            return 8 * down, 8 * across
        own_down, own_across = self.sampling[components[0]]
        if down % own_down or across % own_across:
            raise ValueError("expected channels of which one has a multiple of the pixels of the other")
        return 8 * down // own_down, 8 * across // own_across

    @property
    def _most(self) -> tuple[int, int]:
        """The largest sampling, down and across."""
        down, across = (max(counts) for counts in zip(*self.sampling.values()))
        return down, across

    def units(self, scan: _Scan) -> tuple[int, int]:
        """Number of units of a scan, down and across: of one block if it has one component, else interleaved."""
        own = self.sampling[scan.components[0]] if len(scan.components) == 1 else (1, 1)
        down, across = (-(-side * part // (8 * most)) for side, part, most in zip(self.size, own, self._most))
        return down, across

    def intervals(self, scan: _Scan) -> int:
        """Number of intervals that restart markers divide a scan into."""
        return -(-math.prod(self.units(scan)) // scan.interval) if scan.interval else 1


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Height and width.

    Raises:
        ValueError: the file is damaged up to the place that contains them, or of another kind of JPEG.
    """
    return _segments(content, header_only=True).size


class CheckedJpeg:
    """A file with only the segments that a decoder needs.

    first_row, columns: the first row, and the number of its columns, of the pixels that `taller` adds first.

    Raises:
        ValueError: it is cut short or lacks scans, something follows the image, it is of a kind that is not read, has
            more segments, scans or restart markers than its size permits, or states a rotation elsewhere than in its
            EXIF data.
    """

    def __init__(self, content: bytes) -> None:
        self._segments = _segments(content)
        _need_whole_blocks(self._segments)
        need_no_other_rotation(
            self._segments.exif, (("XMP data", xmp_orientation(data)) for data in self._segments.xmp)
        )
        self.parts = self._segments.parts
        height, width = self._segments.unit
        self.first_row = self._segments.units(self._segments.scans[0])[0] * height
        self.columns = min(self._segments.size[1], width)

    @property
    def plain(self) -> bytes:
        """The file."""
        return b"".join(data for _, data in self.parts)

    @property
    def extended(self) -> bytes:
        """The file with noise after its pixels: the same picture, unless pixels are missing."""
        intervals = sum(len(scan.pixels) for scan in self._segments.scans)
        noise = NOISE[0][: MOST_NOISE // intervals]
        return b"".join(data + noise * pixels for pixels, data in self.parts)

    def taller(self) -> Iterator[bytes]:
        """Variants whose additional pixels differ, unless superfluous pixels of the file take their place.

        None for a file with restart markers, which end the pixels, and if libjpeg decodes no taller image.
        """
        height = self.first_row + self._segments.unit[0]
        first = self._segments.scans[0]
        if first.interval or height > TALLEST:
            return
        place, last = self._segments.frame_part, first.pixels[-1]
        frame = self.parts[place][1][:5] + height.to_bytes(2, "big") + self.parts[place][1][7:]
        for noise in NOISE:
            changed = {place: frame, last: self.parts[last][1] + noise}
            yield b"".join(changed.get(number, data) for number, (_, data) in enumerate(self.parts))

    @property
    def superfluous_bytes(self) -> int:
        """Number of bytes of the first scan after its last pixel. Takes a second for a megabyte after the last restart.

        Raises:
            ValueError: they contain a code that no table explains.
        """
        segments, first = self._segments, self._segments.scans[0]
        header, last = first.header, first.pixels[-1]
        tables = {
            component: (header[2 + 2 * number] >> 4, header[2 + 2 * number] & 15)
            for number, component in enumerate(first.components)
        }
        interleaved = len(tables) > 1
        blocks = [
            (*tables[component], math.prod(segments.sampling[component]) if interleaved else 1) for component in tables
        ]
        units = math.prod(segments.units(first)) - (len(first.pixels) - 1) * first.interval  # after the last restart
        codes = [data[4:] for _, data in self.parts[:last] if data[:2] == bytes([0xFF, CODES])]
        return unused_bytes(codes, blocks, units, self.parts[last][1], means_only=segments.progressive)


def _segments(content: bytes, header_only: bool = False) -> _Segments:
    if content[:2] != JPEG:
        raise ValueError("damaged: its header cannot be read")
    segments = _Segments([(False, content[:2])])
    position = 2
    for _ in range(MOST_SEGMENTS):
        match = MARKER.match(content, position)
        if match is None:
            raise ValueError("damaged: cut short, or a marker is missing")
        marker, position = content[match.end() - 1], match.end()
        if marker == END:
            break
        length = int.from_bytes(content[position : position + 2], "big")
        data = content[position : position + length]
        if length < 2 or len(data) < length or marker in (*RESTARTS, 0xD8, 0x01):
            raise ValueError("damaged: cut short, or a marker in the wrong place")
        position += length
        _add(marker, data, segments)
        if header_only and segments.frame:
            return segments
        if marker == SCAN:
            position = _add_scan(content, position, data[2:], segments)
    else:
        raise ValueError(f"expected at most {MOST_SEGMENTS} segments, found more")
    if not segments.scans:
        raise ValueError("damaged: it contains no pixels")
    if position != len(content):
        raise ValueError(f"expected a single image, found {len(content) - position} bytes after it")
    segments.parts.append((False, b"\xff\xd9"))
    return segments


def _add(marker: int, data: bytes, segments: _Segments) -> None:
    """Adds one segment, except for the pixels that follow it."""
    if _is_kept(marker, data):
        segments.parts.append((False, bytes([0xFF, marker]) + data))
    if marker == INTERVAL:
        segments.interval = int.from_bytes(data[2:4], "big")
    elif marker == APP1:
        if data[2:].startswith(EXIF_HEADER):
            segments.exif.append(data[2:])
        elif data[2:].startswith(XMP_HEADER):
            segments.xmp.append(data[2:])
    elif marker in (*FRAMES, *OTHER_FRAMES):
        _need_frame(marker, data[2:], segments)
        segments.frame_part = len(segments.parts) - 1


def _add_scan(content: bytes, position: int, header: bytes, segments: _Segments) -> int:
    """Adds the pixels of a scan, and returns the position of the next segment."""
    if not segments.frame or len(segments.scans) == MOST_SCANS:
        raise ValueError(f"damaged: expected 1..{MOST_SCANS} scans after the size of the image")
    _need_components(header, segments)
    segments.scans.append(_Scan(header, segments.interval))
    if len(segments.scans) * math.prod(segments.size) > MOST_DECODED:
        raise ValueError(
            f"expected at most {MOST_DECODED} pixels in all scans, found {len(segments.scans)} scans or more"
        )
    scan, marker = segments.scans[-1], b""
    intervals = segments.intervals(scan)
    if intervals + sum(len(earlier.pixels) for earlier in segments.scans) > MOST_INTERVALS:
        raise ValueError(f"expected at most {MOST_INTERVALS} intervals between restart markers, found more")
    while True:
        match = AFTER_PIXELS.search(content, position)
        if match is None:
            raise ValueError("damaged: cut short")
        pixels = content[position : match.start()].rstrip(b"\xff")
        segments.parts += [(False, marker), (True, pixels)]
        scan.pixels.append(len(segments.parts) - 1)
        is_last = content[match.end() - 1] not in RESTARTS
        if len(scan.pixels) > intervals or (is_last and len(scan.pixels) < intervals):
            count = f"{len(scan.pixels)}{'' if is_last else ' or more'}"
            raise ValueError(f"damaged: its header promises pixels in {intervals} intervals, and {count} follow")
        if is_last:
            return match.start()
        marker, position = match.group(), match.end()


def _need_whole_blocks(segments: _Segments) -> None:
    """Checks that the scans together contain every value of every component once; progressive ones, to its last bit."""
    missing_bits = {component: [MISSING] * BLOCK_VALUES for component in segments.sampling}
    in_order = True
    for scan in segments.scans:
        first, last, bits = scan.header[-3:] if segments.progressive else (0, BLOCK_VALUES - 1, 0)
        before, after = bits >> 4 or MISSING, bits & 15
        for component in scan.components:
            for number in range(first, min(last + 1, BLOCK_VALUES)):
                in_order = in_order and missing_bits[component][number] == before
                missing_bits[component][number] = after
    if not in_order or any(any(bits) for bits in missing_bits.values()):
        raise ValueError("damaged: some of its scans are missing or repeated, and some of its pixels with them")


def _need_frame(marker: int, data: bytes, segments: _Segments) -> None:
    if segments.frame:
        raise ValueError("damaged: it contains two sizes")
    if marker in OTHER_FRAMES or len(data) < 6:
        raise ValueError("expected a baseline or progressive JPEG with Huffman codes, found another kind")
    if data[0] != 8:
        raise ValueError(f"expected 8 bits per channel, found {data[0]}")
    if data[5] not in (1, 3):
        raise ValueError(f"expected a greyscale or colour image, found {data[5]} channels, such as CMYK; convert it")
    if len(data) != 6 + 3 * data[5] or not all(data[at] & 15 and data[at] >> 4 for at in range(7, len(data), 3)):
        raise ValueError("damaged: its header is contradictory")
    segments.frame = data
    height, width = segments.size
    if not 1 <= height * width <= MOST_PIXELS:
        raise ValueError(f"expected 1..{MOST_PIXELS} pixels, found {height} x {width}")


def _need_components(data: bytes, segments: _Segments) -> None:
    """Checks that the frame has the components of a scan."""
    components = data[1 : 1 + 2 * data[0]] if data else b""
    if not components or len(data) != 2 * data[0] + 4 or not set(components[::2]) <= set(segments.sampling):
        raise ValueError("damaged: its pixels belong to no channel")


def _is_kept(marker: int, data: bytes) -> bool:
    """Whether a decoder needs the segment; comments, colour profiles and thumbnails are dropped."""
    if marker == APP1:
        return data[2:].startswith(EXIF_HEADER)
    return not (APP0 <= marker <= APP0 + 15 or marker == COMMENT) or marker in (APP0, ADOBE)
