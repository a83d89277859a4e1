"""Rotations outside EXIF data are found, wherever converters write them."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.strangers.rotation import (
    MOST_TEXT,
    exif_orientation,
    need_no_other_rotation,
    png_orientations,
    xmp_orientation,
)

XMP = b'<x:xmpmeta><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" %b/></x:xmpmeta>'


def exif(value: int, order: str = ">", kind: int = 3) -> bytes:
    """EXIF data with a width and an orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    number = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], value)
    entries = struct.pack(order + "HHII", 0x0100, 4, 1, 7) + struct.pack(order + "HHI", 0x0112, kind, 1) + number
    return b"Exif\0\0" + start + struct.pack(order + "IH", 8, 2) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_the_orientation_in_exif_data(order: str, kind: int) -> None:
    for data in (exif(6, order, kind), exif(6, order, kind)[6:]):
        assert exif_orientation(data) == 6
    assert exif_orientation(exif(6, order, kind)[:24]) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_no_error(data: bytes) -> None:
    for content in (data, b"Exif\0\0" + data, b"II*\0" + data, b"MM\0*\0\0\0\x08" + data):
        assert isinstance(exif_orientation(content), int | None)
    assert isinstance(xmp_orientation(data), int | None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (XMP % b'tiff:Orientation="6"', 6),
        (XMP % b"tiff:Orientation = '8'", 8),
        (b"<tiff:Orientation>3</tiff:Orientation>", 3),
        (XMP.replace(b"tiff=", b"t=") % b't:Orientation="5"', 5),
        (XMP % b'tiff:Orientation="1"', 1),
        (XMP % b'camera:Orientation="6"', None),
        (XMP % b'tiff:Make="6"', None),
    ],
)
def test_the_orientation_in_xmp_data(text: bytes, value: int | None) -> None:
    assert xmp_orientation(text) == value


def profile(data: bytes, name: bytes = b"exif") -> bytes:
    """A profile as ImageMagick writes it."""
    digits = data.hex().encode()
    lines = b"\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return b"\n%b\n%8d\n%b\n" % (name, len(data), lines)


def chunks(keyword: bytes, text: bytes) -> list[tuple[bytes, bytes]]:
    """The kinds of text chunks with a keyword and a text."""
    return [
        (b"tEXt", keyword + b"\0" + text),
        (b"zTXt", keyword + b"\0\0" + zlib.compress(text)),
        (b"iTXt", keyword + b"\0\0\0en\0title\0" + text),
        (b"iTXt", keyword + b"\0\1\0\0\0" + zlib.compress(text)),
    ]


TEXTS = {
    b"Raw profile type exif": profile(exif(6)),
    b"Raw profile type APP1": profile(exif(6), b"APP1"),
    b"Raw profile type app1": profile(XMP % b'tiff:Orientation="6"', b"app1"),
    b"Raw profile type xmp": profile(XMP % b'tiff:Orientation="6"', b"xmp"),
    b"XML:com.adobe.xmp": XMP % b'tiff:Orientation="6"',
    b"exif:Orientation": b"6",
}


@pytest.mark.parametrize("keyword", TEXTS)
@pytest.mark.parametrize("kind", range(4))
def test_rotations_in_text_chunks_are_refused(keyword: bytes, kind: int) -> None:
    chunk = chunks(keyword, TEXTS[keyword])[kind]
    orientations = list(png_orientations([(b"IHDR", b""), chunk]))
    assert [value for _, value in orientations] == [6]
    with pytest.raises(ValueError, match=rf"found one in the chunk .* '{keyword.decode()}' \(orientation 6\), "):
        need_no_other_rotation([], orientations)
    need_no_other_rotation([exif(1)], orientations)  # the EXIF data decide
    with pytest.raises(ValueError, match="orientation 6"):
        need_no_other_rotation([exif(0), b"damaged"], orientations)


def test_other_texts_and_upright_images_are_read() -> None:
    for keyword, text in {b"Title": b"\xff", b"Raw profile type icc": b"", b"XML:com.adobe.xmp": XMP % b""}.items():
        for chunk in chunks(keyword, text):
            need_no_other_rotation([], png_orientations([chunk]))
    for chunk in chunks(b"Raw profile type exif", profile(exif(1))):
        need_no_other_rotation([], png_orientations([chunk]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [(b"tEXt", b"Raw profile type exif\0\nexif\n 3\nxyz")],
            "damaged: expected hexadecimal digits in the chunk",
        ),
        ([(b"zTXt", b"XML:com.adobe.xmp\0\0xyz")], "damaged: the text of a chunk zTXt cannot be unpacked"),
        (chunks(b"XML:com.adobe.xmp", bytes(MOST_TEXT + 1))[1:2], "expected at most 1048576 bytes of EXIF or XMP data"),
        (chunks(b"XML:com.adobe.xmp", b"") * 17, "expected at most 64 chunks with EXIF or XMP data"),
    ],
)
def test_texts_are_checked_and_bounded(content: list[tuple[bytes, bytes]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(png_orientations(content))
