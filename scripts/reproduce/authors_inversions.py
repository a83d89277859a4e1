"""The inversions that the BrainLeaks authors published, to be judged by our judges.

Their files (MNIST_SNN_Inverted_BL1 and _BL2, MNIST_ANN_Inverted, Face_ANN_Inverted in the repository of arXiv
2402.00906) are PyTorch archives. Nothing of them is unpickled: the one storage of float32 in them is read as numbers.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import DataError

SHAPES: dict[str, tuple[int, ...]] = {
    "MNIST_SNN_Inverted_BL1": (10, 25, 1, 28, 28),
    "MNIST_SNN_Inverted_BL2": (10, 25, 1, 28, 28),
    "MNIST_ANN_Inverted": (10, 1, 1, 28, 28),
    "Face_ANN_Inverted": (40, 1, 1, 112, 92),
}
"""Of each file: an inversion of each class, steps in time, and an image; of v2, probabilities of spikes."""


def read_inversions(folder: Path, name: str) -> FloatArray:
    """What a file holds, (T, K, C, H, W), float64.

    Raises:
        DataError: it is not there, or is anything else.
    """
    shape, path = SHAPES[name], folder / name
    size = 4 * int(np.prod(shape))
    try:
        with zipfile.ZipFile(path) as archive:
            storage = archive.getinfo(f"{name}/data/0")
            if storage.file_size != size:
                raise DataError(f"{path}: expected a storage of {size} bytes, found {storage.file_size}")
            values = np.frombuffer(archive.read(storage), "<f4").reshape(shape)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected the authors' {name} ({error})") from error
    if not np.isfinite(values).all():
        raise DataError(f"{path}: expected finite numbers")
    return np.moveaxis(values, 1, 0).astype(np.float64)
