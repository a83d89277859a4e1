"""MNIST, from its four original idx files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bl_neuro.arrays import IntArray, SpikeArray
from bl_neuro.data.samples import Dataset, scale_problem
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError
from bl_neuro.strangers.door import exists, read_bytes, regular_file
from bl_neuro.strangers.idx import GZIP, read_idx

MOST_BYTES = 2**28
"""Maximum size of an idx file; the official ones have at most 47 MB."""
PARTS = ("train", "t10k")


class Mnist(DatasetSource):
    """MNIST's 60,000 training and 10,000 test images, (N, 1, 28, 28), as bytes. The test images are `held_out`.

    The data root contains `MNIST/raw` with the four files, unpacked.
    """

    name: ClassVar[str] = "mnist"
    title: ClassVar[str] = "MNIST"
    kind: ClassVar[Kind | None] = "images"
    citation: ClassVar[str] = "MNIST (LeCun, Bottou, Bengio and Haffner, 1998)"
    official_test: ClassVar[bool | None] = True
    samples: ClassVar[int | None] = 70_000
    classes = 10
    folder: ClassVar[str | None] = "MNIST"
    url: ClassVar[str] = "https://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/)"
    placing: ClassVar[str] = (
        "unpack the four .gz files into {root}/MNIST/raw, "
        "or run: python -c \"import torchvision; torchvision.datasets.MNIST('{root}', download=True)\""
    )
    target_plan: ClassVar[Mapping[str, Any]] = {
        "hidden": (1000,), "proxy_epochs": 12, "spiking_epochs": 1, "batch": 128, "proxy_rate": 2e-3,
        "spiking_rate": 2e-4, "weight_decay": 0.05, "noise": 0.0, "membrane_loss": 0.0, "validation": 0.05,
    }  # fmt: skip

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`."""
        files = cls._files(cls.need_folder(options.root))
        (images, labels), (test_images, test_labels) = (_part(*files[part]) for part in PARTS)
        _need_other_images(images, test_images, files["t10k"][0])
        count = len(labels) + len(test_labels)
        return Dataset(
            name=cls.name,
            source=cls.citation,
            pixels=np.concatenate([images, test_images]),
            labels=np.concatenate([labels, test_labels]),
            class_names=tuple("0123456789"),
            held_out=np.arange(count) >= len(labels),
            completeness=cls.completeness(count),
        )

    @classmethod
    def count(cls, folder: Path) -> int:
        """Number of images, according to the headers of the files."""
        count = 0
        for images, _ in cls._files(folder).values():
            with regular_file(images) as file:
                header = file.read(8)
            if header[:2] == GZIP:
                raise DataError(f"{images}: compressed with gzip; unpack it, for example with gunzip")
            count += int.from_bytes(header[4:], "big")
        return count

    @classmethod
    def _files(cls, folder: Path) -> dict[str, tuple[Path, Path]]:
        """The files of images and labels of the training and test sets.

        Raises:
            DataError: a file is missing; the message says if it is there under another name, or compressed.
        """
        files = {}
        for part in PARTS:
            images, labels = (folder / "raw" / f"{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
            files[part] = images, labels
            for path in files[part]:
                if not exists(path):
                    raise _like(path) or cls.missing(folder.parent, f"no raw/{path.name}")
        return files


def _like(path: Path) -> DataError | None:
    """The error for a file that is there under another name, or compressed."""
    packed = path.with_name(f"{path.name}.gz")
    if exists(packed):
        return DataError(f"{path}: expected the unpacked file, found {packed.name}; unpack it with gunzip")
    stem, _, kind = path.name.partition("-idx")
    other = path.with_name(f"{stem}.idx{kind}")
    if exists(other):
        return DataError(f"{path}: expected this name, found {other.name}; rename it")
    return None


def _part(image_file: Path, label_file: Path) -> tuple[SpikeArray, IntArray]:
    """The images and labels of the training or test set, checked."""
    images, labels = _read(image_file, 3), _read(label_file, 1)
    if images.shape[1:] != (28, 28) or len(images) == 0:
        raise DataError(f"{image_file}: expected images of 28 x 28, found an array {images.shape}")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{label_file}: expected a label for each of {len(images)} images, found {labels.shape}")
    if labels.max() > 9:
        raise DataError(f"{label_file}: expected labels 0..9, found {labels.min()}..{labels.max()}")
    problem = scale_problem(images)
    if problem:
        raise DataError(f"{image_file}: {problem}")
    return images[:, None], labels.astype(np.int64)


def _need_other_images(images: SpikeArray, test_images: SpikeArray, where: Path) -> None:
    """Checks that the test images are not a copy of training images."""
    training = {image.tobytes() for image in images}
    if all(image.tobytes() in training for image in test_images):
        raise DataError(
            f"{where}: expected other images than the training images, found all {len(test_images)} among them; "
            "download it again"
        )


def _read(path: Path, dimensions: int) -> SpikeArray:
    try:
        return read_idx(read_bytes(path, MOST_BYTES), dimensions)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
