"""The attacker's public data, in the form of the target's dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bl_neuro.data import Samples, load_dataset
from bl_neuro.errors import DataError
from bl_neuro.experiment.auxiliary_part import AuxiliaryPart
from bl_neuro.seeding import stream

Images = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Public images with the shape of the target's images.

    name: of the dataset. images: (N, C, H, W) float32 in 0..1. labels: for each image its class in the dataset of the
    target, or None where that dataset has no class of this name. originals: the images before resizing, (N, C, h, w).
    """

    name: str
    images: Images
    labels: tuple[int | None, ...]
    originals: Images

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all images and labels."""
        numbered = np.array([-1 if label is None else label for label in self.labels], dtype="<i8")
        content = hashlib.sha256(repr(self.images.shape).encode())
        content.update(np.ascontiguousarray(self.images, dtype="<f4").tobytes())
        content.update(numbered.tobytes())
        return content.hexdigest()

    @property
    def classes(self) -> list[int]:
        """The classes of the target's dataset that some image belongs to."""
        return sorted({label for label in self.labels if label is not None})

    @property
    def sentence(self) -> str:
        """What the attacker holds, in a sentence."""
        old, new = ("×".join(map(str, shape[1:])) for shape in (self.originals.shape[1:], self.images.shape[1:]))
        resized = "" if old == new else f", resized from {old} to {new} pixels"
        count = len(self.classes)
        matched = "none of their classes has" if not count else f"{count} of their classes {_has(count)}"
        return (
            f"The attacker is assumed to hold {len(self.images):,} images of {self.name}{resized}; {matched} the name "
            "of a class of the targets."
        )


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def load_auxiliary(
    part: AuxiliaryPart, folder: Path, root: Path | None, shape: Sequence[int], class_names: Sequence[str]
) -> Auxiliary:
    """Loads the public data of an attacker on targets with images of `shape` (C, H, W) and classes `class_names`.

    Names of classes are compared without case and surrounding spaces. Images of another size are interpolated linearly
    with antialiasing. Where the number of channels differs, their mean stands for each channel. For events, an image is
    the mean over time.

    Raises:
        DataError: the data is missing, damaged or has no images.
    """
    size = None if part.size is None else (part.size[0], part.size[1])
    data: Samples = load_dataset(part.name, root, size=size, folder=folder)
    if len(data.input_shape) != 3 or len(shape) != 3:
        raise DataError(
            f"auxiliary: expected images (channels, height, width) like the targets' {tuple(shape)}, "
            f"found {tuple(data.input_shape)}; choose another dataset in [auxiliary]"
        )
    order = stream(0, "auxiliary samples").permutation(len(data.labels))
    chosen = np.sort(order[: part.samples])
    numbers = {_key(name): number for number, name in enumerate(class_names)}
    own = [numbers.get(_key(name)) for name in data.class_names]
    labels = tuple(own[label] for label in data.labels[chosen].tolist())
    originals = np.asarray(data.images_at(chosen), dtype=np.float32)
    return Auxiliary(data.name, resized(originals, shape), labels, originals)


def _key(name: str) -> str:
    return name.strip().casefold()


def resized(images: npt.ArrayLike, shape: Sequence[int]) -> Images:
    """Images (N, C, H, W) in 0..1 in the given shape (C, H, W), float32; see `load_auxiliary`."""
    values = torch.from_numpy(np.array(images, dtype=np.float32))
    if values.shape[1] != shape[0]:
        values = values.mean(dim=1, keepdim=True).expand(-1, shape[0], -1, -1)
    if tuple(values.shape[2:]) != tuple(shape[1:]):
        values = F.interpolate(values, size=tuple(shape[1:]), mode="bilinear", align_corners=False, antialias=True)
    return np.ascontiguousarray(values.clamp(0, 1).numpy())
