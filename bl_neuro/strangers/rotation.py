"""Finds rotations that an image states elsewhere than in its EXIF data.

Programs agree about the rotation in EXIF data (of PNG files: in the chunk eXIf), which is applied. Some also apply one
in XMP data, or in EXIF data that a converter wrote into a text chunk of a PNG file, and others do not: such images are
refused, unless their EXIF data state the rotation.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Literal

ORIENTATION = 0x0112
UPRIGHT = 1
VALUES = range(1, 9)
TYPES = {1: 1, 3: 2, 4: 4}
"""Number of bytes of the whole numbers of TIFF, by type."""
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""The first bytes of a JPEG segment with XMP data."""
TIFF_NAMESPACE = re.compile(rb"xmlns:([\w.-]{1,64})\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/[\"']")
XMP_ORIENTATION = re.compile(rb"([\w.-]{1,64}):Orientation\s{0,64}(?:=\s{0,64}[\"']|>)\s{0,64}([0-9])")
PROFILES = (b"raw profile type exif", b"raw profile type app1", b"raw profile type xmp")
"""Keywords, in lower case, of text chunks with data in hexadecimal digits."""
XMP_KEYWORD = b"xml:com.adobe.xmp"
NUMBERS = (b"exif:orientation", b"tiff:orientation")
"""Keywords of text chunks with the number itself."""
MOST_TEXT = 2**20
MOST_TEXTS = 64


def need_no_other_rotation(exif: Iterable[bytes], others: Iterable[tuple[str, int | None]]) -> None:
    """Checks that no rotation is stated outside the EXIF data alone.

    exif: the EXIF data of the image. others: names of other places, with the orientation that each states.

    Raises:
        ValueError: one of the others states a rotation, and the EXIF data state none.
    """
    if any(exif_orientation(data) in VALUES for data in exif):
        return
    for place, value in others:
        if value in VALUES and value != UPRIGHT:
            raise ValueError(
                f"expected a rotation in EXIF data only, found one in {place} (orientation {value}), which some "
                "programs apply and others do not; turn the image and save it without this entry"
            )


def exif_orientation(data: bytes) -> int | None:
    """The orientation in EXIF data, or None if there is none that can be read."""
    data = data.removeprefix(b"Exif\0\0")
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order: Literal["little", "big"] = "little" if data[:1] == b"I" else "big"

    def number(start: int, count: int) -> int:
        return int.from_bytes(data[start : start + count], order)

    start = number(4, 4)
    for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(data)), 12):
        kind = number(entry + 2, 2)
        if number(entry, 2) == ORIENTATION and kind in TYPES:
            return number(entry + 8, TYPES[kind])
    return None


def xmp_orientation(text: bytes) -> int | None:
    """The orientation in XMP data, or None. If it is there several times, one that is a rotation."""
    prefixes = {b"tiff", *TIFF_NAMESPACE.findall(text)}
    values = [int(value) for prefix, value in XMP_ORIENTATION.findall(text) if prefix in prefixes]
    return max(values, default=None)


def png_orientations(chunks: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, int | None]]:
    """The orientations in the text chunks of a PNG file, with the names of the chunks.

    Raises:
        ValueError: such a chunk is damaged or too long, or there are too many of them.
    """
    texts = 0
    for name, data in chunks:
        keyword, _, rest = data.partition(b"\0")
        spelling = keyword.lower()
        if name not in (b"tEXt", b"zTXt", b"iTXt") or spelling not in (*PROFILES, XMP_KEYWORD, *NUMBERS):
            continue
        texts += 1
        if texts > MOST_TEXTS:
            raise ValueError(f"expected at most {MOST_TEXTS} chunks with EXIF or XMP data, found more")
        text = _text(name, rest)
        place = f"the chunk {name.decode()} '{keyword.decode('latin-1')}'"
        if spelling in NUMBERS:
            value = text.strip()
            yield place, int(value) if value.isdigit() and len(value) == 1 else None
        elif spelling == XMP_KEYWORD:
            yield place, xmp_orientation(text)
        else:
            profile = _profile(text, place)
            yield place, exif_orientation(profile) or xmp_orientation(profile)


def _text(name: bytes, rest: bytes) -> bytes:
    """The text of a text chunk, from what follows its keyword; unpacked."""
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif packed:
        rest = rest[1:]
    try:
        text = zlib.decompressobj().decompress(rest, MOST_TEXT + 1) if packed else rest
    except zlib.error as error:
        raise ValueError(f"damaged: the text of a chunk {name.decode()} cannot be unpacked ({error})") from error
    if len(text) > MOST_TEXT:
        raise ValueError(f"expected at most {MOST_TEXT} bytes of EXIF or XMP data, found more")
    return text


def _profile(text: bytes, place: str) -> bytes:
    """The data of a profile: its name, its number of bytes, and the bytes in hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except ValueError as error:
        raise ValueError(f"damaged: expected hexadecimal digits in {place}") from error
