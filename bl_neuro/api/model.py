"""Prepares the audit of a model: writes the model and data of the caller to files that the audit can refer to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from bl_neuro.api.command import model_command
from bl_neuro.data import Dataset, load_dataset
from bl_neuro.data.registry import dataset_names
from bl_neuro.errors import InputError, NetworkError, ReportError, Unsupported, printable
from bl_neuro.experiment.given_model import SUFFIXES, ModelAudit, Recognised, model_experiment
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.session import RUNS, Audit
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.training_data import OFFICIAL_TRAINING
from bl_neuro.files import atomic_path, is_utf8, need_folder
from bl_neuro.interop.any_module import from_module
from bl_neuro.model_file import save
from bl_neuro.network import Network

Model = Network | nn.Module | str | Path
ModelData = str | Path | Dataset
TrainedOn = str | Path | Sequence[int] | None
MODEL, DATA, TRAINED_ON = "model.safetensors", "data.npz", "trained_on.npy"
"""Files in the folder of results that the caller's objects are written to."""


def prepare_model_audit(
    model: Model,
    data: ModelData,
    out: Path | None = None,
    root: Path | None = None,
    *,
    trained_on: TrainedOn = None,
    input_shape: Sequence[int] | None = None,
    **options: Any,
) -> tuple[Audit, Recognised]:
    """Prepares the audit of a model and infers how it encodes its data. options: those of `ModelAudit`.

    Raises:
        InputError, ExperimentError, DataError, ModelFileError: the model or the data cannot be audited, or they do not
            fit together. ReportError: the folder of results cannot be written to.
    """
    for what, path in (("model", model), ("data", data)):
        if isinstance(path, (str, Path)) and not is_utf8(path):
            raise InputError(
                f"{what}: expected a path whose names are UTF-8, since the report repeats them, found "
                f"{printable(str(path))}; rename it or use a link"
            )
    if isinstance(model, (str, Path)):
        file = Path(model).expanduser()
        if file.suffix not in SUFFIXES:
            raise InputError(f"model: expected a file ending in {', '.join(SUFFIXES)}, found {str(model)!r}")
        folder = out or RUNS / file.stem
    else:
        folder = out or RUNS / "model"
        file = folder / MODEL
        need_folder(folder)
        save(_network(model, data, root, input_shape), file)
        input_shape = None
    request = ModelAudit(
        file,
        _dataset_name(data, file.parent, folder),
        trained_on=_stated_training_data(trained_on, file.parent, folder),
        input_shape=input_shape,
        **options,
    )
    experiment, recognised = model_experiment(request, root)
    place, store = Place(file.parent.absolute(), root), Store(out or RUNS / experiment.name)
    return Audit(experiment, place, store, model_command(request)), recognised


def _network(model: Network | nn.Module, data: ModelData, root: Path | None, shape: Sequence[int] | None) -> Network:
    if isinstance(model, Network):
        return model
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a Network, a module or a path, found {type(model).__name__}")
    if shape is not None:
        return from_module(model, shape)
    image = (data if isinstance(data, Dataset) else load_dataset(str(data), root)).input_shape
    try:
        return from_module(model, image)
    except (NetworkError, Unsupported) as error:
        try:
            return from_module(model, (int(np.prod(image)),))  # its first layer may take inputs in a row
        except (NetworkError, Unsupported):
            raise error from None


def _dataset_name(data: ModelData, model_folder: Path, folder: Path) -> str:
    """The name of the data in an experiment: its own name, or a path relative to the folder of the model."""
    if isinstance(data, Dataset):
        return _relative(_write_data(data, folder), model_folder)
    if str(data) in dataset_names():
        return str(data)
    if not isinstance(data, (str, Path)):
        raise InputError(f"data: expected a name, a path or a dataset of images, found {type(data).__name__}")
    return _relative(Path(data), model_folder)


def _stated_training_data(trained_on: TrainedOn, model_folder: Path, folder: Path) -> str | None:
    if trained_on is None:
        return None
    if isinstance(trained_on, (str, Path)):
        official = str(trained_on) == OFFICIAL_TRAINING
        return OFFICIAL_TRAINING if official else _relative(Path(trained_on), model_folder)
    indices = np.asarray(trained_on)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError(f"trained_on: expected indices of samples (N,), found {indices.dtype} {indices.shape}")
    _write_arrays(folder / TRAINED_ON, lambda path: np.save(path, indices, allow_pickle=False))
    return _relative(folder / TRAINED_ON, model_folder)


def _write_data(data: Dataset, folder: Path) -> Path:
    arrays: dict[str, Any] = {"images": data.pixels, "labels": data.labels, "class_names": np.array(data.class_names)}
    if data.held_out is not None:
        arrays["held_out"] = data.held_out
    _write_arrays(folder / DATA, lambda path: np.savez(path, **arrays))
    return folder / DATA


def _write_arrays(path: Path, write: Any) -> None:
    need_folder(path.parent)
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            write(file)
    except OSError as error:
        raise ReportError(f"{path}: could not be written ({error})") from error


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.expanduser().absolute(), folder.absolute())
