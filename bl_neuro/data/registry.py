"""Finds and loads datasets by name or path, and lists which of them are available."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Dataset
from bl_neuro.data.source import DatasetSource, DataStatus, LoadOptions, Progress
from bl_neuro.errors import DataError, InputError
from bl_neuro.files import expanded
from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry

DATASETS: Registry[DatasetSource] = Registry(
    noun="dataset",
    group=KINDS["datasets"].group,
    base="bl_neuro.data.source:DatasetSource",
    ours=KINDS["datasets"].ours,
    unknown=DataError,
)


class Choice(NamedTuple):
    """A dataset source, with the path of the user's own data if a path was given instead of a name."""

    source: type[DatasetSource]
    path: Path | None


def dataset_names() -> tuple[str, ...]:
    """Names of all usable datasets, built-in ones first."""
    return tuple(name for name, source in DATASETS.usable().items() if not source.by_path)


def dataset_source(name: str) -> type[DatasetSource] | None:
    """The source of the dataset with this name, or None."""
    source = DATASETS.find(name) if name in DATASETS else None
    return None if source is None or source.by_path else source


def choose_source(name: str | Path, folder: str | Path | None = None) -> Choice:
    """The dataset named `name`, or the source that loads the path `name`. A relative path starts at `folder`.

    Raises:
        DataError: it is neither a name nor such a path, or the path cannot be read. InputError: it is neither text nor
            a `Path`. PluginError: the dataset of another package does not load.
    """
    own_path = expanded(name, "dataset")
    named = dataset_source(name) if isinstance(name, str) else None
    if named is not None:
        return Choice(named, None)
    path = Path(folder or "") / own_path
    own_data = [source for source in DATASETS.usable().values() if source.by_path]
    for source in own_data:
        if name != "" and source.takes(path):
            return Choice(source, path)
    titles = [*dataset_names(), *(source.title for source in own_data)]
    raise DataError(f"dataset: expected one of {', '.join(titles[:-1])} or {titles[-1]}, found {str(name)!r}")


def load_dataset(
    name: str | Path,
    root: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    folder: str | Path | None = None,
) -> Dataset | EventDataset:
    """Loads the dataset `name`, such as "mnist" (see `dataset_names`), or the user's own data at the path `name`.

    The path is an `.npz` file (see `load_npz`) or a folder with one subfolder of images per class (see `load_folder`).

    root: folder of downloaded datasets, BL_NEURO_DATA by default. size: height and width that images are scaled to, if
    the dataset is `scalable`. cache: folder of cached event frames. progress: called as progress(done, total) while
    frames are computed. folder: start of relative paths, the working directory by default.

    Raises:
        DataError: the dataset is unknown, missing (the message says how to get it) or damaged. InputError: size was
            given for a dataset that cannot be scaled, or the name is neither text nor a `Path`. PluginError: see
            `choose_source`.
    """
    choice = choose_source(name, folder)
    if size is not None and not choice.source.scalable:
        raise InputError(not_scalable(str(name)))
    return choice.source.load(LoadOptions(root, choice.path, size, cache, progress))


def not_scalable(name: str) -> str:
    """The error message if a size is given for this dataset and it cannot be scaled."""
    scalable = [source for source in DATASETS.usable().values() if source.scalable]
    titles = ", ".join(source.title if source.by_path else source.name for source in scalable)
    return f"size: expected a dataset that can be scaled ({titles}), found {name}"


def data_status(root: str | Path | None = None) -> list[DataStatus]:
    """How much of each dataset is under `root` (BL_NEURO_DATA by default), from file names and headers only."""
    return [DATASETS.find(name).status(root) for name in dataset_names()]
