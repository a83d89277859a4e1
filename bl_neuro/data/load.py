"""One call for every dataset: those known by name, and the user's own."""

from __future__ import annotations

from pathlib import Path

from bl_neuro.data.att_faces import load_att_faces
from bl_neuro.data.catalogue import PUBLISHED
from bl_neuro.data.digits import load_digits
from bl_neuro.data.dvs_gesture import load_dvs_gesture
from bl_neuro.data.events import EventDataset
from bl_neuro.data.folder import load_folder
from bl_neuro.data.mnist import load_mnist
from bl_neuro.data.nmnist import load_nmnist
from bl_neuro.data.npz import load_npz
from bl_neuro.data.recordings import Progress
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import DataError, InputError

DATASET_NAMES = ("digits", *PUBLISHED)
"""The datasets that are known by name."""


def load_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Dataset | EventDataset:
    """The dataset called `name`: digits, mnist, att_faces, nmnist, dvs_gesture; or the path of an `.npz` or a folder.

    root: the folder that holds downloaded data; BL_NEURO_DATA by default. size: height and width to scale att_faces
    or a folder of images to. cache, progress: where frames of events are kept, and what is told while they are made.

    Raises:
        DataError: no dataset is called so, or it is missing (the message says how to get it) or damaged.
        InputError: size was given for another dataset.
    """
    own = Path(name).expanduser()
    is_folder = name not in ("", *DATASET_NAMES) and own.is_dir()
    if size is not None and name != "att_faces" and not is_folder:
        raise InputError(f"size: only att_faces and folders of images are scaled, not {name}")
    if name == "digits":
        return load_digits()
    if name == "mnist":
        return load_mnist(root)
    if name == "att_faces":
        return load_att_faces(root, size=size)
    if name == "nmnist":
        return load_nmnist(root, cache=cache, progress=progress)
    if name == "dvs_gesture":
        return load_dvs_gesture(root, cache=cache, progress=progress)
    if is_folder:
        return load_folder(own, size=size)
    if own.suffix == ".npz":
        return load_npz(own)
    known = ", ".join(DATASET_NAMES)
    raise DataError(f"dataset: expected one of {known}, an .npz file or a folder of images a class, found {name!r}")
