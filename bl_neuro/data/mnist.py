"""MNIST, from the four idx files that torchvision downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import IntArray, SpikeArray
from bl_neuro.data.catalogue import MNIST, completeness, need_extra
from bl_neuro.data.dataset import Dataset
from bl_neuro.errors import DataError

MOST_BYTES = 2**28
"""Largest idx file that is read; the official ones have at most 47 MB."""


def load_mnist(root: str | Path | None = None) -> Dataset:
    """MNIST's 60,000 training and 10,000 test images, (N, 1, 28, 28), as bytes; the test images are `held_out`.

    root: the folder that holds `MNIST/raw`; BL_NEURO_DATA by default. Source: LeCun et al. 1998.

    Raises:
        DataError: the files are missing or damaged, or torchvision is not installed.
    """
    folder = MNIST.need(root)
    (learn_images, learn_labels), (test_images, test_labels) = (_part(folder, train) for train in (True, False))
    count = len(learn_labels) + len(test_labels)
    return Dataset(
        name=MNIST.name,
        source=MNIST.source,
        pixels=np.concatenate([learn_images, test_images]),
        labels=np.concatenate([learn_labels, test_labels]),
        class_names=tuple("0123456789"),
        held_out=np.arange(count) >= len(learn_labels),
        completeness=completeness(count, MNIST.samples),
    )


def _part(folder: Path, train: bool) -> tuple[SpikeArray, IntArray]:
    """The images and labels of one part, checked."""
    for path in sorted((folder / "raw").glob("*-ubyte")):
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: expected at most {MOST_BYTES} bytes, found {path.stat().st_size}")
    part = "train" if train else "t10k"
    try:
        found = need_extra("torchvision.datasets").MNIST(folder.parent, train=train, download=False)
    except (ArithmeticError, AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / 'raw' / part}-*-ubyte: expected MNIST's idx files, found damaged ones "
            f"({str(error) or type(error).__name__}); download them again"
        ) from error
    images, labels = found.data.numpy(), found.targets.numpy()
    problem = _problem(images, labels)
    if problem:
        raise DataError(f"{folder / 'raw' / part}-*-ubyte: {problem}; download them again")
    return images[:, None], labels.astype(np.int64)


def _problem(images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> str | None:
    if images.shape[1:] != (28, 28) or len(images) == 0:
        return f"expected images of 28 x 28, found an array {images.shape}"
    if labels.shape != images.shape[:1]:
        return f"expected a label for each of {len(images)} images, found {labels.shape}"
    if labels.min() < 0 or labels.max() > 9:
        return f"expected labels 0..9, found {labels.min()}..{labels.max()}"
    return None
