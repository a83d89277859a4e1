"""The attacker's own images: a dataset by name, a file, a folder, or an array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.attacks.auxiliary_box import checked_images
from bl_neuro.errors import InputError
from bl_neuro.experiment.auxiliary_data import Auxiliary, load_auxiliary, resized
from bl_neuro.experiment.auxiliary_part import AuxiliaryPart

AuxiliaryImages = str | Path | npt.NDArray[Any]


def attacker_images(
    given: AuxiliaryImages, root: str | Path | None, shape: Sequence[int], class_names: Sequence[str]
) -> Auxiliary:
    """The images in the shape (C, H, W) of the target's inputs; see `load_auxiliary`.

    Raises:
        InputError: an array that does not hold images. DataError: the dataset is missing, damaged or has no images.
    """
    if isinstance(given, (str, Path)):
        if not str(given):
            raise InputError("auxiliary: expected the name of a dataset, a file or a folder, found ''")
        part = AuxiliaryPart(name=str(given))
        return load_auxiliary(part, Path(), None if root is None else Path(root), shape, class_names)
    images = checked_images(given).astype(np.float32)
    return Auxiliary("an array", resized(images, shape), (None,) * len(images), images)
