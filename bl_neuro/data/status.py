"""Which datasets are here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.data.att_faces import face_files
from bl_neuro.data.catalogue import PUBLISHED, data_root
from bl_neuro.data.digits import DIGITS
from bl_neuro.data.dvs_gesture import gesture_recordings
from bl_neuro.data.mnist import count_mnist
from bl_neuro.data.nmnist import nmnist_recordings
from bl_neuro.errors import DataError

COUNTS: dict[str, Callable[[Path], int]] = {
    "mnist": count_mnist,
    "att_faces": lambda folder: len(face_files(folder)),
    "nmnist": lambda folder: len(nmnist_recordings(folder)),
    "dvs_gesture": lambda folder: len(gesture_recordings(folder)),
}
"""How many samples of a dataset are in its folder."""


@dataclass(frozen=True)
class DataStatus:
    """How much of a dataset is here.

    state: "complete", "subset", "missing" or "damaged". folder: where it was looked for, None where nowhere or inside
    a package. problem: what is wrong, or None. how_to_get: what to download and where to put it.
    """

    name: str
    source: str
    state: str
    found: int
    published: int
    folder: str | None
    problem: str | None
    how_to_get: str


def data_status(root: str | Path | None = None) -> list[DataStatus]:
    """How much of each dataset is under `root` (BL_NEURO_DATA by default), by names of files and headers alone."""
    inside = DataStatus("digits", DIGITS, "complete", 1797, 1797, None, None, "comes with scikit-learn")
    return [inside, *(_status(name, root) for name in PUBLISHED)]


def _status(name: str, root: str | Path | None) -> DataStatus:
    published, base = PUBLISHED[name], data_root(root)
    folder = None if base is None else base / published.folder
    found, problem = 0, None
    if folder is not None and folder.is_dir():
        try:
            found = COUNTS[name](folder)
        except (DataError, OSError) as error:
            problem = str(error)
    state = "complete" if found == published.samples else "subset" if found else "missing"
    return DataStatus(
        name=name,
        source=published.source,
        state="damaged" if problem else state,
        found=found,
        published=published.samples,
        folder=None if folder is None else str(folder),
        problem=problem,
        how_to_get=published.how_to_get(base or "<data root>"),
    )
