"""AT&T faces: ten greyscale photographs of each of 40 people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bl_neuro.data.images import read_image
from bl_neuro.data.samples import Dataset
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError, InputError
from bl_neuro.strangers.door import files_in_subfolders

FACE = (112, 92)
"""Height and width of a photograph."""
TEST_NUMBERS = (8, 9)


class AttFaces(DatasetSource):
    """The AT&T faces, (N, 1, 112, 92) as bytes. Class k is person k + 1, also if photographs of others are missing.

    The BrainLeaks authors train on the first 8 photographs of a person and test on the last 2, in alphabetical order of
    the file names (1, 10, 2, ...): photographs 8 and 9 are `held_out`. Eight photographs are few to divide between a
    target and an independent evaluator: `official_split(faces, seed, target=200, evaluator=120)` gives 5 and 3 per
    person. `shared_split(faces)` gives all 8 to both, like the authors, and notes this in the result.

    The data root contains `att_faces/s1/1.pgm` and so on. If files are missing, the rest is loaded and called a subset.
    """

    name: ClassVar[str] = "att_faces"
    title: ClassVar[str] = "AT&T faces"
    kind: ClassVar[Kind | None] = "images"
    citation: ClassVar[str] = "AT&T (ORL) Database of Faces, Olivetti Research Laboratory (Samaria and Harter, 1994)"
    scalable: ClassVar[bool] = True
    official_test: ClassVar[bool | None] = True
    samples: ClassVar[int | None] = 400
    classes = 40
    folder: ClassVar[str | None] = "att_faces"
    url: ClassVar[str] = "https://cam-orl.co.uk/facedatabase.html"
    placing: ClassVar[str] = (
        "unpack att_faces.zip into {root}/att_faces, so that there are {root}/att_faces/s1/1.pgm to s40/10.pgm"
    )
    target_plan: ClassVar[Mapping[str, Any]] = {
        "hidden": (3000,), "proxy_epochs": 40, "spiking_epochs": 3, "batch": 16, "proxy_rate": 5e-5,
        "spiking_rate": 5e-5, "weight_decay": 0.05, "noise": 0.0, "shift": 3, "membrane_loss": 0.0,
    }  # fmt: skip
    trainer_plans: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"epochs": 40, "through_time": 80, "rate": 1.5e-4, "batch": 40, "shift": 3}
    }

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`. Raises InputError for a size larger than the photographs."""
        size = options.size
        if size is not None and not all(1 <= side <= most for side, most in zip(size, FACE)):
            raise InputError(f"size: expected height and width of at most {FACE}, found {size}")
        folder = cls.need_folder(options.root)
        files = face_files(folder)
        if not files:
            raise cls.missing(folder.parent, "no photographs s<person>/<number>.pgm")
        images = []
        for _, _, path in files:
            image = read_image(path)
            if image.shape[1:] != FACE:
                raise DataError(f"{path}: expected a photograph of height and width {FACE}, found {image.shape[1:]}")
            images.append(image if size is None else read_image(path, size))
        return Dataset(
            name=cls.name,
            source=cls.citation,
            pixels=np.stack(images),
            labels=np.array([person - 1 for person, _, _ in files], dtype=np.int64),
            class_names=tuple(f"s{label + 1}" for label in range(cls.classes)),
            held_out=np.array([number in TEST_NUMBERS for _, number, _ in files]),
            completeness=cls.completeness(len(files)),
        )

    @classmethod
    def count(cls, folder: Path) -> int:
        """Number of available photographs."""
        return len(face_files(folder))


def face_files(folder: Path) -> list[tuple[int, int, Path]]:
    """The available photographs as (person, number, file), in order."""
    files = []
    for path in files_in_subfolders(folder, ".pgm"):
        match = re.fullmatch(r"s([1-9]\d?)/([1-9]\d?)\.pgm", path.relative_to(folder).as_posix(), re.IGNORECASE)
        if match and int(match[1]) <= 40 and int(match[2]) <= 10:
            files.append((int(match[1]), int(match[2]), path))
    return sorted(files)
