"""Reads image files in the child process of the reading room, with Pillow. `bl_neuro.data.images` says which are read.

Options: the number of channels, 1 or 3, and the height and width that the image is scaled to, or 0.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bl_neuro.strangers.jpeg import JPEG, CheckedJpeg
from bl_neuro.strangers.netpbm import is_netpbm, read_netpbm
from bl_neuro.strangers.png import SIGNATURE, checked_png
from bl_neuro.strangers.reading_child import Options, Reader, Rejected
from bl_neuro.strangers.tree_frames import Tree, encoded_tree

SPARE_BYTES = 2**28
"""Memory for copies of the largest image."""
PADDING_BYTES = 2
"""Maximum number of bytes after the last pixel of a JPEG scan, with which some encoders pad it."""
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RecursionError, RuntimeError, SyntaxError,
    TypeError, UserWarning, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""Exceptions of Pillow and of our readers for files that are not images."""


def _read(file: BinaryIO, disk_bytes: int, most_bytes: int, options: Options) -> Tree:
    file.seek(0)
    return {"pixels": pixels(file.read(), *options)}


def _memory(disk_bytes: int, most_bytes: int) -> int:
    return most_bytes + SPARE_BYTES


def pixels(content: bytes, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """The image as bytes (C, H, W).

    Raises:
        Rejected: it is damaged, or not an opaque image with 8 bits per channel.
    """
    from PIL import Image

    try:
        image = _opaque(_decoded(content)).convert("RGB" if channels == 3 else "L")
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise Rejected(str(error) or type(error).__name__) from error
    if height and width:
        image = image.resize((width, height), Image.Resampling.BOX)
    values = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) if channels == 3 else values[None]


def _decoded(content: bytes) -> Any:
    """The checked image, as Pillow's, turned as its EXIF data say."""
    if is_netpbm(content):
        from PIL import Image

        values = read_netpbm(content)
        return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    if content[:2] == JPEG:
        return _jpeg(content)
    if content[: len(SIGNATURE)] == SIGNATURE:
        image = _loaded(checked_png(content), "PNG")
        if image.mode == "P" and 3 * np.asarray(image).max() >= len(image.palette.palette):
            raise ValueError("damaged: a pixel has a colour that its palette lacks")
        return image
    raise ValueError("the file starts like none of them")


def _jpeg(content: bytes) -> Any:
    checked = CheckedJpeg(content)
    image = _loaded(checked.plain, "JPEG")
    if not np.array_equal(np.asarray(image), np.asarray(_loaded(checked.extended, "JPEG"))):
        raise ValueError("damaged: some of its pixels are missing")
    added = (_additional(variant, checked) for variant in checked.taller())
    if not _differ(added) and checked.superfluous_bytes > PADDING_BYTES:
        raise ValueError("damaged: it contains more pixels than its header says")
    return image


def _additional(variant: bytes, checked: CheckedJpeg) -> bytes:
    """The pixels that a taller variant of a file adds first, before any rotation."""
    from PIL import Image

    with Image.open(io.BytesIO(variant), formats=("JPEG",)) as file:
        return np.asarray(file)[checked.first_row :, : checked.columns].tobytes()


def _differ(values: Iterator[bytes]) -> bool:
    """Whether there are values that are not equal. Stops at the first that differs."""
    first = next(values, None)
    return any(value != first for value in values)


def _loaded(content: bytes, kind: str) -> Any:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # about damaged EXIF data, which may hide a rotation
        with Image.open(io.BytesIO(content), formats=(kind,)) as file:
            return ImageOps.exif_transpose(file)


def _opaque(image: Any) -> Any:
    """The image, after a check that no pixel is transparent, not even in part."""
    if "A" in image.mode or "transparency" in image.info:
        least, _ = image.convert("RGBA").getchannel("A").getextrema()
        if least < 255:
            raise ValueError("expected opaque pixels, found transparent ones; put the image on a background first")
    return image


def _warm_up() -> None:
    from PIL import Image

    values = np.arange(64 * 3, dtype=np.uint8).reshape(8, 8, 3)
    colour = Image.fromarray(values)
    exif = colour.getexif()
    exif[0x0112] = 6  # turned
    images = [
        colour,
        colour.convert("L"),
        colour.convert("1"),
        colour.quantize(4),
        *map(colour.convert, ("LA", "RGBA")),
    ]
    contents = [_encoded(image, "PNG", exif=exif) for image in images]
    contents += [_encoded(images[1], "PNG", transparency=0), _encoded(images[3], "PNG", transparency=b"\0")]
    for options in ({}, {"progressive": True}, {"subsampling": 0, "exif": exif}):
        contents += [_encoded(image, "JPEG", **options) for image in images[:2]]
    contents += [b"P5\n2 1\n255\n12", b"P3\n1 1\n255\n1 2 3", b"", contents[0][:40], contents[-4][:60]]
    for content in contents:
        for channels in (1, 3):
            with contextlib.suppress(Rejected):
                encoded_tree({"pixels": pixels(content, channels, 3, 3)})


def _encoded(image: Any, kind: str, **options: Any) -> bytes:
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


READER = Reader(_warm_up, _read, _memory)
