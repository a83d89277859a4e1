"""Images from files, PNG, JPEG and PGM or PPM, as bytes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.extra import need_extra
from bl_neuro.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "PPM")
MOST_PIXELS = 2**24
"""Most pixels of an image that is opened."""
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow raises on files that are no images."""


def read_image(path: Path, size: tuple[int, int] | None = None, colour: bool = False) -> SpikeArray:
    """The image in a file as bytes (C, H, W): grey, or red, green and blue.

    size: height and width to scale to, each pixel the mean of those it covers.

    Raises:
        DataError: it is damaged, no image of 8 bits a channel, or too large.
    """
    image_module, operations = need_extra("PIL.Image"), need_extra("PIL.ImageOps")
    try:
        with image_module.open(path, formats=FORMATS) as file:
            if file.width * file.height > MOST_PIXELS:
                raise DataError(f"{path}: expected at most {MOST_PIXELS} pixels, found {file.width} x {file.height}")
            if file.mode not in EIGHT_BIT_MODES:
                raise DataError(f"{path}: expected 8 bits a channel, found Pillow's mode {file.mode}")
            image = operations.exif_transpose(file).convert("RGB" if colour else "L")
    except (*DAMAGE, image_module.DecompressionBombError) as error:
        raise DataError(f"{path}: expected a PNG, JPEG or PGM image ({str(error) or type(error).__name__})") from error
    if size is not None:
        image = image.resize((size[1], size[0]), image_module.Resampling.BOX)
    values = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) if colour else values[None]
