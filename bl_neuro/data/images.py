"""Reads one image file as bytes, and refuses what cannot be read without doubt.

The file must be whole: its checksums are right, it holds exactly the pixels that its header promises, and nothing
follows. (JPEG has no checksums: pixels that are missing are noticed, changed or superfluous ones are not.) Images are
refused if they have more than 8 bits per channel, inks (CMYK), several pictures, or any pixel that is not opaque, since
what shows through depends on a background that the file does not name. Palettes are resolved, the rotation in EXIF data
is applied, and colour profiles and gamma are ignored.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.source import need_extra
from bl_neuro.errors import DataError
from bl_neuro.strangers.door import read_bytes, regular_file
from bl_neuro.strangers.jpeg import checked_jpeg, jpeg_size
from bl_neuro.strangers.netpbm import is_netpbm, netpbm_size, read_netpbm
from bl_neuro.strangers.png import SIGNATURE, checked_png, png_header

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm")
MOST_FILE_BYTES = 2**28
START_BYTES = 2**16
"""Bytes of a file in which its size is looked for first."""
JPEG = b"\xff\xd8"
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RecursionError, RuntimeError,
    SyntaxError, TypeError, UserWarning, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""Exceptions of Pillow and of our readers for files that are not images."""


def image_size(path: Path, inside: Path | None = None) -> tuple[int, int, int]:
    """Height and width, before any rotation, and bytes on disk. Reads only the start of the file, if that suffices.

    Raises:
        DataError: see `read_image`.
    """
    with regular_file(path, inside) as file:
        start = file.read(START_BYTES)
        size = file.seek(0, io.SEEK_END)
    try:
        if start[:2] == JPEG:
            try:
                sides = jpeg_size(start)
            except ValueError:  # behind a long preview
                sides = jpeg_size(read_bytes(path, MOST_FILE_BYTES, inside))
        elif start[: len(SIGNATURE)] == SIGNATURE:
            header = png_header(start)
            sides = header.height, header.width
        elif is_netpbm(start):
            sides = netpbm_size(start)
        else:
            raise ValueError("the file starts like none of them")
    except ValueError as error:
        raise _not_an_image(path, error) from error
    return *sides, size


def read_image(
    path: Path, size: tuple[int, int] | None = None, colour: bool = False, inside: Path | None = None
) -> SpikeArray:
    """The image in a file as bytes (C, H, W): greyscale or RGB.

    size: height and width that the image is scaled to; each pixel is the mean of the pixels it covers. inside: a folder
    above the file, which links must not leave.

    Raises:
        DataError: the file is damaged, too large, or not an opaque image with 8 bits per channel.
    """
    content = read_bytes(path, MOST_FILE_BYTES, inside)
    pillow = need_extra("PIL.Image")
    try:
        image = _opaque(_decoded(content, pillow)).convert("RGB" if colour else "L")
    except (*DAMAGE, pillow.DecompressionBombError) as error:
        raise _not_an_image(path, error) from error
    if size is not None:
        image = image.resize((size[1], size[0]), pillow.Resampling.BOX)
    values = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) if colour else values[None]


def _not_an_image(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: expected a PNG, JPEG or PGM image ({str(error) or type(error).__name__})")


def _decoded(content: bytes, pillow: Any) -> Any:
    """The checked image, as Pillow's, turned as its EXIF data say."""
    if is_netpbm(content):
        values = read_netpbm(content)
        return pillow.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    if content[:2] == JPEG:
        checked, extended = checked_jpeg(content)
        image = _loaded(checked, "JPEG", pillow)
        if _digest(_loaded(extended, "JPEG", pillow)) != _digest(image):
            raise ValueError("damaged: some of its pixels are missing")
        return image
    if content[: len(SIGNATURE)] == SIGNATURE:
        image = _loaded(checked_png(content), "PNG", pillow)
        if image.mode == "P" and 3 * np.asarray(image).max() >= len(image.palette.palette):
            raise ValueError("damaged: a pixel has a colour that its palette lacks")
        return image
    raise ValueError("the file starts like none of them")


def _loaded(content: bytes, kind: str, pillow: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "(Corrupt EXIF|Possibly corrupt EXIF)", UserWarning)
        with pillow.open(io.BytesIO(content), formats=(kind,)) as file:
            return need_extra("PIL.ImageOps").exif_transpose(file)


def _digest(image: Any) -> tuple[Any, bytes]:
    return image.size, hashlib.blake2b(np.asarray(image).data).digest()


def _opaque(image: Any) -> Any:
    """The image, after a check that no pixel is transparent, not even in part."""
    if "A" in image.mode or "transparency" in image.info:
        least, _ = image.convert("RGBA").getchannel("A").getextrema()
        if least < 255:
            raise ValueError("expected opaque pixels, found transparent ones; put the image on a background first")
    return image
