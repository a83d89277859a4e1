"""The user's own images, in a folder with one subfolder per class."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.images import SUFFIXES, image_size, read_image
from bl_neuro.data.samples import Dataset, scale_problem
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError, InputError
from bl_neuro.files import expanded
from bl_neuro.strangers.budget import need_memory
from bl_neuro.strangers.door import entries, exists, folders, is_folder, need_inside, printable_name

MOST_SIDE = 4096
MOST_CLASSES = 10_000
MOST_LISTED = 10
"""Maximum number of problems that an error lists."""


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
        return is_folder(path)

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`."""
        return load_folder(options.path or "", size=options.size)


def load_folder(path: str | Path, *, size: tuple[int, int] | None = None, colour: bool = False) -> Dataset:
    """Loads images (N, C, H, W) as bytes from `path/<class>/*` (PNG, JPEG or PGM). C is 1, or 3 if `colour`.

    Class k is the k-th folder by name, or by number if all names are numbers; `in_class_order` changes the order to
    that of a network's outputs. If the folders are `train` and `test`, with class folders in them, the images in `test`
    are `held_out`. Hidden files and folders, and those that archivers and operating systems create (`__MACOSX`,
    `Thumbs.db`), are ignored. `bl_neuro.data.images` says which images are read. size: height and width that images are
    scaled to; without it, all images must have the same size.

    Raises:
        DataError: the folder is missing, contains no classes, a class without images, or files that are not such images
            (all are listed); or the images exceed the memory budget of `bl_neuro.strangers.budget`.
    """
    if size is not None and not all(1 <= side <= MOST_SIDE for side in size):
        raise InputError(f"size: expected height and width in 1..{MOST_SIDE}, found {size}")
    folder = expanded(path)
    parts = _parts(folder)
    names = _ordered({path.name for part in parts for path in folders(part)})
    if not 1 <= len(names) <= MOST_CLASSES:
        raise DataError(f"{folder}: expected a folder for each of 1..{MOST_CLASSES} classes, found {len(names)}")
    files = _class_files(folder, parts, names)
    labels = np.array([label for _, label, _ in files], dtype=np.int64)
    held_out = np.array([test for _, _, test in files])
    own_name = printable_name(folder.resolve().name)
    return Dataset(
        name=own_name,
        source=f"images in the folder {own_name}",
        pixels=_read(folder, [file for file, _, _ in files], size, colour),
        labels=labels,
        class_names=_class_names(folder, names),
        held_out=held_out if len(parts) == 2 else None,
        completeness=f"all {len(files):,} found",
    )


def _parts(folder: Path) -> list[Path]:
    """The folder itself, or its subfolders `train` and `test` if it contains no others."""
    if not is_folder(folder):
        raise DataError(
            f"{folder}: expected a folder with one subfolder of images per class, found "
            f"{'a file' if exists(folder) else 'nothing'}"
        )
    if {part.name for part in folders(folder)} != {"train", "test"}:
        return [folder]
    parts = [folder / "train", folder / "test"]
    return parts if all(folders(part) for part in parts) else [folder]


def _class_files(folder: Path, parts: list[Path], names: list[str]) -> list[tuple[Path, int, bool]]:
    """Each image with its class and whether it is a test sample.

    Raises:
        DataError: a class has no images, an image lies beside the folders of classes, or a link leads elsewhere.
    """
    files = []
    problems = []
    for part in parts:
        beside = [path.name for path in entries(part) if path.suffix.lower() in SUFFIXES and not is_folder(path)]
        if beside:
            problems.append(f"{part}: expected images in folders of classes only, found {_listed(beside)} beside them")
        for label, name in enumerate(names):
            if not is_folder(part / name):
                continue
            need_inside(part / name, folder)
            files += [(file, label, part.name == "test" and len(parts) == 2) for file in entries(part / name)]
    training = {label for _, label, test in files if not test}
    empty = [name for label, name in enumerate(names) if label not in training]
    if empty:
        problems.append(
            f"{parts[0]}: expected images in the folder of each class, found none for {_listed(empty)}; remove folders "
            "that are no classes"
        )
    if problems:
        raise DataError("; ".join(problems))
    return files


def _class_names(folder: Path, names: list[str]) -> tuple[str, ...]:
    shown = tuple(printable_name(name) for name in names)
    if len(set(shown)) < len(shown):
        twice = sorted({name for name in shown if shown.count(name) > 1})
        raise DataError(f"{folder}: expected class names that differ in print, found {_listed(twice)} more than once")
    return shown


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(repr(printable_name(name)) for name in names[:MOST_LISTED]) + more


def _ordered(names: set[str]) -> list[str]:
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _read(folder: Path, files: list[Path], size: tuple[int, int] | None, colour: bool) -> SpikeArray:
    """All images. Their headers are read first, so that too many pixels are refused before memory is taken.

    Raises:
        DataError: a file is not an image, or has another size than the first; all problems are listed.
    """
    channels = 3 if colour else 1
    areas, bytes_on_disk, problems, images_to_read = [], 0, [], []
    for file in files:
        try:
            _need_image_name(file)
            height, width, file_bytes = image_size(file, folder)
        except DataError as error:
            problems.append(str(error))
            continue
        areas.append(height * width if size is None else size[0] * size[1])
        bytes_on_disk += file_bytes
        images_to_read.append(file)
    need_memory(folder, channels * sum(areas), bytes_on_disk)
    images: SpikeArray | None = None
    for number, file in enumerate(images_to_read):
        try:
            image = read_image(file, size, colour, folder)
            if images is None:
                # with images of different sizes, none is kept: they are refused below
                images = np.empty((len(areas) if len(set(areas)) == 1 else 1, *image.shape), dtype=np.uint8)
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"{file}: expected {_sides(images[0])} as the first image, found {_sides(image)}; give a size"
                )
        except DataError as error:
            problems.append(str(error))
            continue
        if number < len(images):
            images[number] = image
    if problems or images is None:
        raise _all_problems(problems)
    problem = scale_problem(images)
    # scaled down, a few white pixels can become 1
    if problem and (size is None or all(read_image(file, None, colour, folder).max() <= 1 for file in files)):
        raise DataError(f"{folder}: {problem}")
    return images


def _need_image_name(file: Path) -> None:
    if file.suffix.lower() in SUFFIXES:
        return
    if is_folder(file):
        raise DataError(
            f"{file}: expected an image in the folder of a class, found a folder; classes lie deeper only if "
            "there are exactly two folders above them, named 'train' and 'test'"
        )
    raise DataError(f"{file}: expected a name ending in {', '.join(SUFFIXES)}")


def _all_problems(problems: list[str]) -> DataError:
    more = f"; and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    return DataError("; ".join(problems[:MOST_LISTED]) + more)


def _sides(image: SpikeArray) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"
