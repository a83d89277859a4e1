"""The user's own images, in a folder with one subfolder per class."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.samples import Dataset
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions, need_extra
from bl_neuro.errors import DataError, InputError

MOST_BYTES = 2**32
"""Maximum number of bytes of all pixels together."""
MOST_SIDE = 4096
MOST_CLASSES = 10_000
MOST_LISTED = 10
"""Maximum number of problems that an error lists."""
IGNORED = ("Thumbs.db", "desktop.ini")


class ImageFolder(DatasetSource):
    """The user's own images; see `load_folder`."""

    name: ClassVar[str] = "folder"
    title: ClassVar[str] = "a folder of images per class"
    kind: ClassVar[Kind | None] = "images"
    by_path: ClassVar[bool] = True
    scalable: ClassVar[bool] = True

    @classmethod
    def takes(cls, path: Path) -> bool:
        """Accepts any folder."""
        return path.is_dir()

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`."""
        return load_folder(options.path or "", size=options.size)


def load_folder(path: str | Path, *, size: tuple[int, int] | None = None, colour: bool = False) -> Dataset:
    """Loads images (N, C, H, W) as bytes from `path/<class>/*` (PNG, JPEG or PGM). C is 1, or 3 if `colour`.

    Class k is the k-th folder by name, or by number if all names are numbers; `in_class_order` changes the order to
    that of a network's outputs. If the folders are `train` and `test`, with class folders in them, the images in `test`
    are `held_out`. size: height and width that images are scaled to; without it, all images must have the same size.

    Raises:
        DataError: the folder is missing, contains no classes, or contains files that are not such images; all are
            listed.
    """
    if size is not None and not all(1 <= side <= MOST_SIDE for side in size):
        raise InputError(f"size: expected height and width in 1..{MOST_SIDE}, found {size}")
    folder = Path(path).expanduser()
    parts = _parts(folder)
    names = _ordered({folder.name for part in parts for folder in _folders(part)})
    if not 1 <= len(names) <= MOST_CLASSES:
        raise DataError(f"{folder}: expected a folder for each of 1..{MOST_CLASSES} classes, found {len(names)}")
    files = [
        (file, label, part.name == "test")
        for part in parts
        for label, name in enumerate(names)
        for file in _files(part / name)
    ]
    labels = np.array([label for _, label, _ in files], dtype=np.int64)
    held_out = np.array([test for _, _, test in files])
    return Dataset(
        name=folder.resolve().name,
        source=f"images in the folder {folder.resolve().name}",
        pixels=_read(folder, [file for file, _, _ in files], size, colour),
        labels=labels,
        class_names=tuple(names),
        held_out=held_out if len(parts) == 2 else None,
        completeness=f"all {len(files):,} found",
    )


def _parts(folder: Path) -> list[Path]:
    """The folder itself, or its subfolders `train` and `test` if it contains nothing else."""
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected a folder with one subfolder of images per class, found "
            f"{'a file' if folder.exists() else 'nothing'}"
        )
    if {part.name for part in _folders(folder)} != {"train", "test"}:
        return [folder]
    parts = [folder / "train", folder / "test"]
    return parts if all(_folders(part) for part in parts) else [folder]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in IGNORED)


def _ordered(names: set[str]) -> list[str]:
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _read(folder: Path, files: list[Path], size: tuple[int, int] | None, colour: bool) -> SpikeArray:
    """All images. Raises one error that lists all problems."""
    images: list[SpikeArray] = []
    problems: list[str] = []
    for file in files:
        try:
            if file.suffix.lower() not in SUFFIXES:
                raise DataError(f"{file}: expected a name ending in {', '.join(SUFFIXES)}")
            image = read_image(file, size, colour)
        except DataError as error:
            problems.append(str(error))
            continue
        if images and image.shape != images[0].shape:
            problems.append(
                f"{file}: expected {_sides(images[0])} as the first image, found {_sides(image)}; give a size"
            )
            continue
        images.append(image)
        if len(images) * images[0].nbytes > MOST_BYTES:
            raise DataError(f"{folder}: expected at most {MOST_BYTES} bytes of pixels in all; give a smaller `size`")
    if problems or not images:
        more = f"; and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
        raise DataError(
            "; ".join(problems[:MOST_LISTED]) + more if problems else f"{folder}: expected images, found none"
        )
    return np.stack(images)


def _sides(image: SpikeArray) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"


SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "PPM")
MOST_PIXELS = 2**24
"""Maximum number of pixels of an image."""
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error,
    zlib.error,
)  # fmt: skip
"""Exceptions of Pillow for files that are not images."""


def read_image(path: Path, size: tuple[int, int] | None = None, colour: bool = False) -> SpikeArray:
    """The image in a file as bytes (C, H, W): greyscale or RGB.

    size: height and width that the image is scaled to; each pixel is the mean of the pixels it covers.

    Raises:
        DataError: the file is damaged, too large, or not an image with 8 bits per channel.
    """
    image_module, operations = need_extra("PIL.Image"), need_extra("PIL.ImageOps")
    try:
        with image_module.open(path, formats=FORMATS) as file:
            if file.width * file.height > MOST_PIXELS:
                raise DataError(f"{path}: expected at most {MOST_PIXELS} pixels, found {file.width} x {file.height}")
            if file.mode not in EIGHT_BIT_MODES:
                raise DataError(f"{path}: expected 8 bits per channel, found Pillow's mode {file.mode}")
            image = operations.exif_transpose(file).convert("RGB" if colour else "L")
    except (*DAMAGE, image_module.DecompressionBombError) as error:
        raise DataError(f"{path}: expected a PNG, JPEG or PGM image ({str(error) or type(error).__name__})") from error
    if size is not None:
        image = image.resize((size[1], size[0]), image_module.Resampling.BOX)
    values = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) if colour else values[None]
