"""Checks untrusted JPEG files, segment by segment, and keeps what a decoder needs.

libjpeg fills missing pixels with grey and does not say so. `checked_jpeg` therefore also returns a variant of the file
with noise after its pixels, which a whole image decodes to the same picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from bl_neuro.strangers.budget import MOST_PIXELS

FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive images with Huffman codes."""
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
MARKER = re.compile(rb"\xff+[^\x00\xff]")
RESTARTS = range(0xD0, 0xD8)
SCAN, END, APP0, EXIF, ADOBE, COMMENT = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE, 0xFE
MOST_SCANS = 64
"""Maximum number of scans; encoders write up to 14. Each scan decodes the whole image, which takes time."""
NOISE = bytes(np.random.default_rng(0).integers(0, 255, 512, dtype=np.uint8))
"""Bytes without 0xFF, which would start a marker."""


@dataclass
class _Segments:
    """The parts of a file: bytes of headers, and of pixels between two markers."""

    parts: list[tuple[bool, bytes]]
    frame: bytes = b""
    scans: int = 0

    @property
    def size(self) -> tuple[int, int]:
        return int.from_bytes(self.frame[1:3], "big"), int.from_bytes(self.frame[3:5], "big")


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Height and width.

    Raises:
        ValueError: the file is damaged up to the place that contains them, or of another kind of JPEG.
    """
    return _segments(content, header_only=True).size


def checked_jpeg(content: bytes) -> tuple[bytes, bytes]:
    """The file with only the segments that a decoder needs, after it was checked, and with noise after its pixels.

    Raises:
        ValueError: it is cut short, something follows the image, or it is of a kind that is not read.
    """
    parts = _segments(content).parts
    return b"".join(data for _, data in parts), b"".join(data + NOISE * pixels for pixels, data in parts)


def _segments(content: bytes, header_only: bool = False) -> _Segments:
    if content[:2] != b"\xff\xd8":
        raise ValueError("damaged: its header cannot be read")
    segments = _Segments([(False, content[:2])])
    position = 2
    while True:
        match = MARKER.match(content, position)
        if match is None:
            raise ValueError("damaged: cut short, or a marker is missing")
        marker, position = content[match.end() - 1], match.end()
        if marker == END:
            break
        if marker in RESTARTS and segments.scans:
            position = _pixels(content, position, segments, bytes([0xFF, marker]))
            continue
        length = int.from_bytes(content[position : position + 2], "big")
        data = content[position : position + length]
        if length < 2 or len(data) < length or marker in (*RESTARTS, 0xD8, 0x01):
            raise ValueError("damaged: cut short, or a marker in the wrong place")
        position += length
        if _is_kept(marker, data):
            segments.parts.append((False, bytes([0xFF, marker]) + data))
        if marker in (*FRAMES, *OTHER_FRAMES):
            _need_frame(marker, data[2:], segments)
            if header_only:
                return segments
        if marker == SCAN:
            segments.scans += 1
            if not segments.frame or segments.scans > MOST_SCANS:
                raise ValueError(f"damaged: expected 1..{MOST_SCANS} scans after the size of the image")
            position = _pixels(content, position, segments, b"")
    if not segments.scans:
        raise ValueError("damaged: it contains no pixels")
    if position != len(content):
        raise ValueError(f"expected a single image, found {len(content) - position} bytes after it")
    segments.parts.append((False, b"\xff\xd9"))
    return segments


def _pixels(content: bytes, position: int, segments: _Segments, marker: bytes) -> int:
    """Adds the pixels up to the next marker, and returns its position."""
    match = MARKER.search(content, position)
    if match is None:
        raise ValueError("damaged: cut short")
    segments.parts += [(False, marker), (True, content[position : match.start()])]
    return match.start()


def _need_frame(marker: int, data: bytes, segments: _Segments) -> None:
    if segments.frame:
        raise ValueError("damaged: it contains two sizes")
    if marker in OTHER_FRAMES or len(data) < 6:
        raise ValueError("expected a baseline or progressive JPEG with Huffman codes, found another kind")
    if data[0] != 8:
        raise ValueError(f"expected 8 bits per channel, found {data[0]}")
    if data[5] not in (1, 3):
        raise ValueError(f"expected a greyscale or colour image, found {data[5]} channels, such as CMYK; convert it")
    segments.frame = data
    height, width = segments.size
    if not 1 <= height * width <= MOST_PIXELS:
        raise ValueError(f"expected 1..{MOST_PIXELS} pixels, found {height} x {width}")


def _is_kept(marker: int, data: bytes) -> bool:
    """Whether a decoder needs the segment; comments, colour profiles and thumbnails are dropped."""
    if marker == EXIF:
        return data[2:8] == b"Exif\0\0"
    return not (APP0 <= marker <= APP0 + 15 or marker == COMMENT) or marker in (APP0, ADOBE)
