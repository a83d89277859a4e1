"""Reads one image file as bytes, and refuses what cannot be read without doubt.

The file must be whole: its checksums are right, it holds exactly the pixels that its header promises, and nothing
follows. (JPEG has no checksums: pixels that are missing or superfluous are noticed, changed ones are not.) Images are
refused if they have more than 8 bits per channel, inks (CMYK), several pictures, or any pixel that is not opaque, since
what shows through depends on a background that the file does not name. Palettes are resolved, the rotation in EXIF data
is applied (one that is stated elsewhere alone is refused), and colour profiles and gamma are ignored.
"""

from __future__ import annotations

import io
from pathlib import Path

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.source import need_extra
from bl_neuro.errors import DataError
from bl_neuro.strangers.door import need_size, read_bytes, regular_file
from bl_neuro.strangers.jpeg import JPEG, jpeg_size
from bl_neuro.strangers.netpbm import is_netpbm, netpbm_size
from bl_neuro.strangers.png import SIGNATURE, png_header
from bl_neuro.strangers.reading_room import ReadingFailed, ReadingRoom

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm")
MOST_FILE_BYTES = 2**28
START_BYTES = 2**16
"""Bytes of a file in which its size is looked for first."""
ROOM = ReadingRoom("images", "Pillow", "images")


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
    """The image in a file as bytes (C, H, W): greyscale or RGB. It is decoded in a child process.

    size: height and width that the image is scaled to; each pixel is the mean of the pixels it covers. inside: a folder
    above the file, which links must not leave.

    Raises:
        DataError: the file is damaged, too large, or not an opaque image with 8 bits per channel.
    """
    need_extra("PIL.Image")
    with regular_file(path, inside) as file:
        file_bytes = need_size(path, file, MOST_FILE_BYTES)
        try:
            tree = ROOM.read(file.fileno(), file_bytes, (3 if colour else 1, *(size or (0, 0))))
        except ReadingFailed as error:
            raise _not_an_image(path, error) if error.started else DataError(f"{path}: {error}") from error
    pixels: SpikeArray = tree["pixels"]
    return pixels


def _not_an_image(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: expected a PNG, JPEG or PGM image ({error})")
