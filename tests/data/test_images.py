"""One image file: whole, opaque, 8-bit images are read, anything else is refused by name."""

from __future__ import annotations

import io
import re
import signal
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

import bl_neuro as bl
from bl_neuro import DataError
from bl_neuro.data.images import ROOM, image_size, read_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, size=(40, 48), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, size=(40, 48, 3), dtype=np.uint8)


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def written(folder: Path, content: bytes) -> Path:
    (folder / "image.png").write_bytes(content)
    return folder / "image.png"


PGM = b"P5\n48 40\n255\n" + GREY.tobytes()
PNG = encoded(Image.fromarray(GREY), "PNG")
JPEG = encoded(Image.fromarray(GREY), "JPEG", quality=90)
PROGRESSIVE = encoded(Image.fromarray(COLOUR), "JPEG", quality=90, progressive=True)
WHOLE = {"pgm": PGM, "png": PNG, "jpeg": JPEG, "progressive": PROGRESSIVE}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_are_read_as_pillow_reads_them(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE[kind])
    image = Image.open(path)
    assert np.array_equal(read_image(path)[0], np.asarray(image.convert("L")))
    assert np.array_equal(read_image(path, colour=True), np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    assert image_size(path) == (40, 48, len(WHOLE[kind]))


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("extra", [b"\0", b"\n", b"noise" * 30])
def test_bytes_after_the_image_are_refused(kind: str, extra: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image\.png: expected a PNG, JPEG or PGM image \(.*(follow|after it)"):
        read_image(written(tmp_path, WHOLE[kind] + extra))


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("lost", [1, 2, 13, 300])
def test_files_that_are_cut_short_are_refused(
    kind: str, lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # other libraries switch this on
    with pytest.raises(DataError, match=r"\(damaged"):
        read_image(written(tmp_path, WHOLE[kind][:-lost]))


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE])
def test_a_jpeg_whose_pixels_end_early_is_refused(data: bytes, tmp_path: Path) -> None:
    """libjpeg fills the rest with grey, and Pillow does not say so."""
    cut = data[: len(data) * 3 // 5].rstrip(b"\xff") + b"\xff\xd9"
    assert Image.open(io.BytesIO(cut)).convert("L").size == (48, 40)
    with pytest.raises(DataError, match=r"damaged: some of its (pixels|scans) are missing"):
        read_image(written(tmp_path, cut))


def test_a_jpeg_of_fewer_rows_than_its_header_promises_is_refused(tmp_path: Path) -> None:
    frame = JPEG.index(b"\xff\xc0")
    changed = JPEG[: frame + 5] + struct.pack(">H", 80) + JPEG[frame + 7 :]
    with pytest.raises(DataError, match="some of its pixels are missing"):
        read_image(written(tmp_path, changed))


KINDS_OF_JPEG: dict[str, dict[str, Any]] = {
    "baseline": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_blocks": 2},
    "few restarts": {"restart_marker_blocks": 20}, "no restart": {"restart_marker_blocks": 1000},
    "optimized": {"optimize": True}, "no subsampling": {"subsampling": 0}, "best": {"quality": 100},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS_OF_JPEG)
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize(("place", "side"), [(5, 24), (5, 8), (7, 16), (7, 32)])
def test_a_jpeg_of_more_pixels_than_its_header_promises_is_refused(
    kind: str, pixels: np.ndarray, place: int, side: int, tmp_path: Path
) -> None:
    """libjpeg ignores the rest: with another width, the picture is another one, and Pillow does not say so."""
    content = encoded(Image.fromarray(pixels), "JPEG", **KINDS_OF_JPEG[kind])
    frame = content.index(b"\xff\xc2" if kind == "progressive" else b"\xff\xc0")
    changed = content[: frame + place] + struct.pack(">H", side) + content[frame + place + 2 :]
    np.asarray(Image.open(io.BytesIO(changed)))
    with pytest.raises(DataError, match=r"more pixels than its header says|header promises pixels in \d+ intervals"):
        read_image(written(tmp_path, changed))


def test_a_pgm_with_windows_line_ends_in_its_header_is_refused(tmp_path: Path) -> None:
    """Pillow reads it shifted by one pixel."""
    with pytest.raises(DataError, match=r"promises 1920 values, and 1921 follow"):
        read_image(written(tmp_path, PGM.replace(b"\n", b"\r\n", 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n2 2\n255\n1234", None),
        (b"P5 # a comment\n2 2\n# another\n255\n1234", None),
        (b"P2\n2 2\n255\n1 2\n3 255\n", None),
        (b"P2\n2 2\n15\n1 2 # x\n3 15\n", None),
        (b"P3\n1 1\n255\n1 2 3", None),
        (b"P6\n1 1\n255\n123", None),
        (b"P2\n2 2\n255\n1 2 3", "promises 4 values, and 3 follow"),
        (b"P2\n2 2\n255\n1 2 3 4 5", "promises 4 values, and 5 follow"),
        (b"P2\n2 2\n255\n1 2 3 256", "expected values up to 255, found 256"),
        (b"P2\n2 2\n255\n1 2 3 0004", "at most three digits"),
        (b"P2\n2 2\n255\n1 2 3 -4", "expected decimal numbers"),
        (b"P2\n2 2\n15\n1 2 3 16", "values up to 15, and 16 follows"),
        (b"P5\n2 2\n65535\n12345678", "expected 8 bits per channel, found values up to 65535"),
        (b"P5\n0 2\n255\n", r"expected 1\.\.\d+ pixels, found 2 x 0"),
        (b"P5\n99999 99999\n255\n", r"expected 1\.\.\d+ pixels, found 99999 x 99999"),
        (b"P5\n2 2\n255", "header cannot be read"),
        (b"P4\n8 1\n1", "expected a PGM or PPM image .* found P4"),
        (b"P7\nWIDTH 2", "found P7"),
    ],
)
def test_netpbm(content: bytes, message: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    if message is None:
        expected = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(read_image(path, colour=True), expected)
    else:
        with pytest.raises(DataError, match=message):
            read_image(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    magic=st.sampled_from([b"P2", b"P3", b"P5", b"P6"]),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    most=st.integers(1, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_whole_netpbm_file_equals_pillows(
    tmp_path: Path, magic: bytes, height: int, width: int, most: int, seed: int
) -> None:
    count = height * width * (3 if magic in (b"P3", b"P6") else 1)
    values = np.random.default_rng(seed).integers(0, most + 1, count)
    raster = " ".join(map(str, values)).encode() if magic in (b"P2", b"P3") else values.astype(np.uint8).tobytes()
    path = written(tmp_path, b"%s\n%d %d\n%d\n" % (magic, width, height, most) + raster)
    expected = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(read_image(path, colour=True), expected)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(extra)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


ROWS = b"\0\x01\x02\0\x03\x04"
PNGS: list[tuple[str, bytes, str]] = [
    ("fewer rows", png(2, 3, 8, 0, ROWS), "promises 3 x 2 pixels, and it holds fewer"),
    ("more rows", png(2, 1, 8, 0, ROWS), "promises 1 x 2 pixels, and it holds more"),
    ("16 bits grey", png(1, 2, 16, 0, ROWS), "8 bits per channel, found 16"),
    ("16 bits colour", png(1, 2, 16, 2, bytes(14)), "8 bits per channel, found 16"),
    ("a wrong checksum", PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "the checksum of chunk IDAT is wrong"),
    ("animated", png(2, 2, 8, 0, ROWS, chunk(b"acTL", bytes(8))), "found an animated PNG"),
    ("too large", png(2**20, 2**20, 8, 0, ROWS), r"expected 1\.\.16777216 pixels, found 1048576 x 1048576"),
    ("no palette", png(2, 2, 8, 3, ROWS), "missing, repeated or out of order"),
    ("a short palette", png(2, 2, 8, 3, ROWS, chunk(b"PLTE", bytes(6))), "a colour that its palette lacks"),
    ("two palettes", png(2, 2, 8, 3, ROWS, *2 * [chunk(b"PLTE", bytes(15))]), "missing, repeated or out of order"),
    ("unknown critical chunk", png(2, 2, 8, 0, ROWS, chunk(b"XXXX", b"")), "found XXXX"),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in PNGS], ids=[case[0] for case in PNGS])
def test_contradictory_pngs_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_image(written(tmp_path, content))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_kind_of_opaque_png(mode: str, tmp_path: Path) -> None:
    path = written(tmp_path, encoded(Image.fromarray(COLOUR).convert(mode), "PNG"))
    expected = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(read_image(path, colour=True), expected)


def test_grey_levels_of_few_bits_span_black_to_white(tmp_path: Path) -> None:
    for depth, row in ((1, 0b01000000), (2, 0b00011011), (4, 0x0F)):
        levels = read_image(written(tmp_path, png(2, 1, depth, 0, bytes([0, row]))))[0, 0]
        assert levels.tolist() == [0, {1: 255, 2: 85, 4: 255}[depth]]


def test_an_interlaced_png(tmp_path: Path) -> None:
    rows = b"\0\x10" + b"\0\x20" + b"\0\x30\x40"  # the passes of 2 x 2 pixels: 1, 6 and 7
    assert read_image(written(tmp_path, png(2, 2, 8, 0, rows, interlaced=1)))[0].tolist() == [[16, 32], [48, 64]]


def transparent(mode: str) -> bytes:
    """Black ink on a transparent ground."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:4, :, 3] = 255
    image = Image.fromarray(ink)
    return encoded(image.quantize(4) if mode == "P" else image.convert(mode), "PNG")


TRANSPARENT = {
    "RGBA": transparent("RGBA"),
    "LA": transparent("LA"),
    "P": transparent("P"),
    "grey key": png(2, 2, 8, 0, ROWS, chunk(b"tRNS", b"\0\x03")),
    "colour key": png(1, 1, 8, 2, b"\0\x01\x02\x03", chunk(b"tRNS", b"\0\x01\0\x02\0\x03")),
    "half": encoded(Image.fromarray(np.full((4, 4, 4), 128, np.uint8)), "PNG"),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparent_pixels_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="expected opaque pixels, found transparent ones; put the image on a background"
    ):
        read_image(written(tmp_path, TRANSPARENT[kind]))


def test_a_key_colour_that_no_pixel_has_is_no_transparency(tmp_path: Path) -> None:
    path = written(tmp_path, png(2, 2, 8, 0, ROWS, chunk(b"tRNS", b"\0\x09")))
    assert read_image(path)[0].tolist() == [[1, 2], [3, 4]]


def test_cmyk_and_animations_are_refused(tmp_path: Path) -> None:
    cmyk = encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG")
    with pytest.raises(DataError, match="found 4 channels, such as CMYK"):
        read_image(written(tmp_path, cmyk))
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    animated = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="found an animated PNG"):
        read_image(written(tmp_path, animated))
    for kind in ("GIF", "WEBP", "TIFF", "BMP"):
        with pytest.raises(DataError, match="the file starts like none of them"):
            read_image(written(tmp_path, encoded(frames[0], kind)))


def test_the_rotation_in_exif_data_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()  # type: ignore[no-untyped-call]
    exif[0x0112] = 6  # shown turned by 90 degrees
    for kind in ("PNG", "JPEG"):
        plain = read_image(written(tmp_path, encoded(Image.fromarray(GREY), kind)))
        turned = read_image(written(tmp_path, encoded(Image.fromarray(GREY), kind, exif=exif)))
        assert np.array_equal(turned[0], np.rot90(plain[0], -1))


def smooth(height: int, width: int) -> np.ndarray:
    return np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)


JPEG_IMAGES: list[Callable[[], np.ndarray]] = [
    lambda: np.zeros((1, 1), np.uint8),
    lambda: np.full((300, 200), 128, np.uint8),
    lambda: smooth(33, 65),
    lambda: np.repeat(smooth(17, 8)[..., None], 3, axis=2),
    lambda: COLOUR,
    lambda: GREY,
]


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"restart_marker_blocks": 20}, {"optimize": True}],
)
@pytest.mark.parametrize("quality", [5, 75, 100])
@pytest.mark.parametrize("number", range(len(JPEG_IMAGES)))
def test_whole_jpegs_of_all_kinds_are_read(options: dict[str, Any], quality: int, number: int, tmp_path: Path) -> None:
    content = encoded(Image.fromarray(JPEG_IMAGES[number]()), "JPEG", quality=quality, **options)
    path = written(tmp_path, content)
    assert np.array_equal(read_image(path)[0], np.asarray(Image.open(path).convert("L")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)), noise=st.binary(max_size=20), place=st.floats(0, 1), removed=st.integers(0, 20)
)
def test_any_damage_is_a_typed_error(tmp_path: Path, kind: str, noise: bytes, place: float, removed: int) -> None:
    whole = WHOLE[kind]
    start = int(place * len(whole))
    path = written(tmp_path, whole[:start] + noise + whole[start + removed :])
    try:
        assert read_image(path).ndim == 3
    except DataError as error:
        assert str(error).startswith(str(path))  # noqa: PT017


@pytest.mark.parametrize("height", [65488, 65489, 65500])
def test_the_tallest_jpegs_are_read(height: int, tmp_path: Path) -> None:
    image = Image.fromarray(smooth(height, 3))
    assert read_image(written(tmp_path, encoded(image, "JPEG"))).shape == (1, height, 3)


def test_a_large_text_image_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"P2\n2048 1024\n255\n" + b"123 " * 2**21)
    assert read_image(path).shape == (1, 1024, 2048)


def test_a_rotation_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03\0\0\0\x01\0\x06"
    damaged = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    with pytest.raises(DataError, match="EXIF"):
        read_image(written(tmp_path, damaged))


def test_a_crash_of_a_decoder_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, PNG)
    assert read_image(path).shape == (1, 40, 48)
    assert ROOM.child is not None
    process, send = ROOM.child.process, socket.send_fds
    process.send_signal(signal.SIGSTOP)

    def send_and_kill(*arguments: Any) -> int:
        sent = send(*arguments)
        process.send_signal(signal.SIGSEGV)
        process.send_signal(signal.SIGCONT)
        return sent

    monkeypatch.setattr(socket, "send_fds", send_and_kill)
    with pytest.raises(DataError, match=r"image\.png: .*\(damaged or too demanding: Pillow crashed \(SIGSEGV\)"):
        read_image(path)
    monkeypatch.undo()
    assert read_image(path).shape == (1, 40, 48)


def test_pillow_decodes_files_only_in_the_child() -> None:
    root = Path(bl.__file__).parent
    users = {
        str(path.relative_to(root))
        for path in [*root.rglob("*.py"), *(root / "backends").rglob("*.py"), *(root / "deploy").rglob("*.py")]
        if re.search(r"\bImage\.open\(|pillow\.open\(", path.read_text())
    }
    assert {name for name in users if not name.startswith("testing/")} == {"strangers/image_reader.py"}


def test_rotations_outside_exif_data_are_refused(tmp_path: Path) -> None:
    """Pillow applies those of some places, and other programs do not."""
    exif = Image.Exif()  # type: ignore[no-untyped-call]
    exif[0x0112] = 6
    data, xmp = exif.tobytes(), '<rdf:Description tiff:Orientation="6"/>'
    profile, packed = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    profile.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n", zip=True)
    packed.add_itxt("XML:com.adobe.xmp", xmp)
    image = Image.fromarray(GREY)
    contents = [encoded(image, "PNG", pnginfo=info) for info in (profile, packed)]
    segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
    contents.append(JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + JPEG[2:])
    for content in contents:
        with pytest.raises(DataError, match=r"expected a rotation in EXIF data only, found one in .*\(orientation 6"):
            read_image(written(tmp_path, content))
    turned = read_image(written(tmp_path, encoded(image, "PNG", pnginfo=packed, exif=exif)))
    assert np.array_equal(turned[0], np.rot90(GREY, -1))


def test_long_exif_data_are_not_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()  # type: ignore[no-untyped-call]
    exif[0x0112], exif[0x010E] = 6, "x" * 2**16
    with pytest.raises(DataError, match="expected at most 65536 bytes of EXIF data, found 65"):
        read_image(written(tmp_path, encoded(Image.fromarray(GREY), "PNG", exif=exif)))


def test_exif_data_that_end_in_a_value_are_refused(tmp_path: Path) -> None:
    """Pillow stops at the description, whose place is beyond the end, and does not see the rotation behind it."""
    entries = struct.pack("<HHII", 270, 2, 500, 9999) + struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    for kind in ("PNG", "JPEG"):
        with pytest.raises(DataError, match="Truncated File Read"):
            read_image(written(tmp_path, encoded(Image.fromarray(GREY), kind, exif=exif)))
