"""The base class of dataset sources, and common code for finding and loading their files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import DataError, PluginError
from bl_neuro.files import expanded
from bl_neuro.strangers.door import is_folder

Progress = Callable[[int, int], None]
Kind = Literal["images", "events"]
NOTHING: Mapping[str, Any] = MappingProxyType({})
VARIABLE = "BL_NEURO_DATA"
"""The environment variable for the data root."""


@dataclass(frozen=True)
class LoadOptions:
    """Options for loading a dataset.

    root: folder of downloaded datasets, BL_NEURO_DATA by default. path: a file or folder that was given instead of a
    name. size: height and width that images are scaled to. cache: folder of cached event frames. progress: called as
    progress(done, total) while frames are computed.
    """

    root: str | Path | None = None
    path: Path | None = None
    size: tuple[int, int] | None = None
    cache: str | Path | None = None
    progress: Progress | None = None


class DatasetSource(ABC):
    """A named dataset, or a kind of file or folder that contains the user's own data.

    Packages add datasets through the entry-point group `bl_neuro.datasets`.
    """

    name: ClassVar[str]
    """Name of the dataset in files, tables and command lines, like `Dataset.name` (except for the user's own data)."""
    title: ClassVar[str]
    """Name of the dataset in texts."""
    kind: ClassVar[Kind | None]
    """The kind of its samples; None if that depends on the file."""
    citation: ClassVar[str] = ""
    """Authors and year of the publication to cite."""
    by_path: ClassVar[bool] = False
    """Whether it loads any file or folder that it `takes`, instead of one dataset."""
    scalable: ClassVar[bool] = False
    """Whether images can be scaled to another size."""
    official_test: ClassVar[bool | None] = None
    """Whether there is an official test set; None if that depends on the files."""

    samples: ClassVar[int | None] = None
    """Number of samples of the whole dataset."""
    classes: ClassVar[int | None] = None
    """Number of classes; None if that depends on the files."""
    folder: ClassVar[str | None] = None
    """Its folder under the data root; None if there is nothing to download."""
    url: ClassVar[str] = ""
    placing: ClassVar[str] = ""
    """Instructions for the files from `url` ({root} is the data root), or the package that contains the dataset."""

    target_plan: ClassVar[Mapping[str, Any]] = NOTHING
    """Settings of a `TargetPlan` that work well, overriding those for its kind; convolutions as text."""
    trainer_plans: ClassVar[Mapping[str, Mapping[str, Any]]] = NOTHING
    """The same for the plans of other trainers of targets, by the name of the trainer, such as "authors"."""
    attack_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = NOTHING
    """Settings for this dataset, by the name of an attack. Presets for a dataset are declared by the attack: see
    `bl_neuro.attacks.Preset`."""

    @classmethod
    @abstractmethod
    def load(cls, options: LoadOptions) -> Dataset | EventDataset:
        """Loads the dataset.

        Raises:
            DataError: it is missing (the message says how to get it) or damaged.
        """

    @classmethod
    def takes(cls, path: Path) -> bool:
        """Whether the source can load this path. Only called for sources with `by_path`."""
        return False

    @classmethod
    def count(cls, folder: Path) -> int:
        """Number of samples in its folder, from file names and headers only. Only called for sources with `folder`.

        Raises:
            DataError: a file is missing or damaged.
        """
        raise PluginError(
            f"{cls.__name__} must define `count`, since it has a folder under the data root; tell the author of this "
            "dataset"
        )

    @classmethod
    def need_folder(cls, root: str | Path | None) -> Path:
        """Its folder under `root` (see `data_root`).

        Raises:
            DataError: the folder is missing; the message says how to get the data.
        """
        base = data_root(root)
        if base is None:
            raise DataError(
                f"{cls.name}: no data folder; give one (root, --root) or set {VARIABLE}. {cls.how_to_get()}"
            )
        if not is_folder(base / str(cls.folder)):
            raise cls.missing(base, "no such folder")
        return base / str(cls.folder)

    @classmethod
    def missing(cls, base: Path, problem: str) -> DataError:
        """The error for a dataset that is not under the data root `base`."""
        return DataError(
            f"{cls.name}: looked for the data in {base / str(cls.folder)}, found {problem}. {cls.how_to_get(base)}"
        )

    @classmethod
    def how_to_get(cls, base: Path | str = "<data root>") -> str:
        """What to download and where to put it."""
        return f"Get it from {cls.url}: {cls.placing.format(root=base)}" if cls.url else cls.placing

    @classmethod
    def completeness(cls, count: int) -> str:
        """How much of the dataset `count` samples are, in words."""
        complete = cls.samples in (None, count)
        return f"all {count:,}" if complete else f"subset: {count:,} of {cls.samples:,}"

    @classmethod
    def status(cls, root: str | Path | None) -> DataStatus:
        """How much of the dataset is under `root`; see `data_root`."""
        if cls.folder is None:
            count = cls.samples
            return DataStatus(cls.name, cls.citation, "complete", count, count, None, None, cls.how_to_get())
        base = data_root(root)
        folder = None if base is None else base / cls.folder
        here, problem = 0, None
        if folder is not None:
            try:
                here = cls.count(folder) if is_folder(folder) else 0
            except (DataError, OSError) as error:
                problem = str(error)
        state = "missing" if not here else "complete" if cls.samples in (None, here) else "subset"
        return DataStatus(
            name=cls.name,
            source=cls.citation,
            state="damaged" if problem else state,
            found=here,
            published=cls.samples,
            folder=None if folder is None else str(folder),
            problem=problem,
            how_to_get=cls.how_to_get(base or "<data root>"),
        )


@dataclass(frozen=True)
class DataStatus:
    """How much of a dataset is available on this machine.

    state: "complete", "subset", "missing" or "damaged". found, published: number of samples available here and in
    total; None if unknown. folder: where the dataset was searched, or None if it has no folder. problem: what is wrong,
    or None. how_to_get: what to download and where to put it.
    """

    name: str
    source: str
    state: str
    found: int | None
    published: int | None
    folder: str | None
    problem: str | None
    how_to_get: str


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder of downloaded datasets: `root`, or the value of BL_NEURO_DATA, or None."""
    named = root if root is not None else os.environ.get(VARIABLE)
    return expanded(named, VARIABLE if root is None else None) if named else None


def need_extra(module: str) -> Any:
    """Imports and returns the module of this name.

    Raises:
        DataError: it is not installed or cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise DataError(
            f'{name} is needed for this data ({error}); install it with: pip install "bl-neuro[data]"'
        ) from error
