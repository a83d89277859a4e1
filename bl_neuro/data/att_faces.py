"""AT&T's faces: ten grey photographs of each of 40 people."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bl_neuro.data.catalogue import ATT_FACES, completeness
from bl_neuro.data.folder import read_image
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import DataError, InputError

FACE = (112, 92)
"""Height and width of a photograph."""
TEST_NUMBERS = (8, 9)


def load_att_faces(root: str | Path | None = None, *, size: tuple[int, int] | None = None) -> Dataset:
    """The faces, (N, 1, 112, 92) as bytes, one class a person.

    The BrainLeaks authors train on the first 8 photographs of a person and test on the last 2, in the order of file
    names as text (1, 10, 2, ...): photographs 8 and 9 are `held_out`. Eight are few to divide between a target and an
    evaluator that shall not see its images: `official_split(faces, seed, target=200, evaluator=120)` gives 5 and 3 a
    person; `shared_split(faces)` gives both all 8, as the authors do, and says so.

    root: the folder that holds `att_faces/s1/1.pgm` and so on; BL_NEURO_DATA by default. Any part of them is taken,
    and said to be a subset. size: height and width to scale to, such as (56, 46). Source: Samaria and Harter 1994.

    Raises:
        DataError: there are no faces (the message says how to get them), or one is damaged.
    """
    if size is not None and not all(1 <= side <= most for side, most in zip(size, FACE)):
        raise InputError(f"size: expected height and width of at most {FACE}, found {size}")
    folder = ATT_FACES.need(root)
    files = face_files(folder)
    if not files:
        raise ATT_FACES.missing(folder.parent, "no photographs s<person>/<number>.pgm")
    people = sorted({person for person, _, _ in files})
    images = []
    for _, _, path in files:
        image = read_image(path)
        if image.shape[1:] != FACE:
            raise DataError(f"{path}: expected a photograph of height and width {FACE}, found {image.shape[1:]}")
        images.append(image if size is None else read_image(path, size))
    held_out = np.array([number in TEST_NUMBERS for _, number, _ in files])
    return Dataset(
        name=ATT_FACES.name,
        source=ATT_FACES.source,
        pixels=np.stack(images),
        labels=np.array([people.index(person) for person, _, _ in files], dtype=np.int64),
        class_names=tuple(f"s{person}" for person in people),
        held_out=held_out,
        completeness=completeness(len(files), ATT_FACES.samples),
    )


def face_files(folder: Path) -> list[tuple[int, int, Path]]:
    """The photographs that are there, as (person, number, file), in order."""
    found = []
    for path in folder.glob("s*/*.pgm"):
        match = re.fullmatch(r"s([1-9]\d?)/([1-9]\d?)\.pgm", path.relative_to(folder).as_posix())
        if match and int(match[1]) <= 40 and int(match[2]) <= 10:
            found.append((int(match[1]), int(match[2]), path))
    return sorted(found)
