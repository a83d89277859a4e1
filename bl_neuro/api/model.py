"""Prepares the audit of a model, given as an object or a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from bl_neuro.api.command import model_command
from bl_neuro.api.experiment import AttackLike, Table, attack_table
from bl_neuro.api.given_files import MODEL, GivenFiles
from bl_neuro.attacks import Attack
from bl_neuro.data import Dataset, load_dataset
from bl_neuro.data.registry import choose_source, dataset_names
from bl_neuro.errors import DataError, InputError, NetworkError, Unsupported, printable
from bl_neuro.experiment.given_model import (
    ModelAudit,
    Recognised,
    experiment_name,
    given_network,
    model_experiment,
)
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.session import RUNS, Audit
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.training_data import OFFICIAL_TRAINING
from bl_neuro.files import expanded, is_utf8
from bl_neuro.interop.any_module import from_module
from bl_neuro.model_file import SUFFIXES
from bl_neuro.network import Network

Model = Network | nn.Module | str | Path
ModelData = str | Path | Dataset
TrainedOn = str | Path | Sequence[int] | None
SHORT = 8
"""Number of characters of the model's fingerprint in the name of the default folder."""


@contextmanager
def prepared_model_audit(
    model: Model,
    data: ModelData,
    out: Path | None = None,
    root: Path | None = None,
    *,
    plan: bool = False,
    trained_on: TrainedOn = None,
    input_shape: Sequence[int] | None = None,
    attacks: Sequence[AttackLike] | None = None,
    evaluators: Sequence[str | Table] | None = None,
    auxiliary: str | Path | None = None,
    cache: bool = True,
    **options: Any,
) -> Iterator[tuple[Audit, Recognised]]:
    """Prepares the audit of a model and infers how it encodes its data. options: those of `ModelAudit`.

    The folder of results is locked until the block ends, and only then are the caller's objects written to it. plan:
    writes them to a temporary folder instead, and locks nothing. cache: as in `Audit`.

    Raises:
        InputError, ExperimentError, DataError, ModelFileError: the model or the data cannot be audited, or they do not
            fit together. ReportError: the folder of results cannot be written to, is in use, or holds another audit.
    """
    for what, path in (("model", model), ("data", data)):
        if isinstance(path, (str, Path)) and not is_utf8(path):
            raise InputError(
                f"{what}: expected a path whose names are UTF-8, since the report repeats them, found "
                f"{printable(str(path))}; rename it or use a link"
            )
    given = None if isinstance(model, (str, Path)) else _network(model, data, root, input_shape)
    file = Path(MODEL) if given is not None else expanded(str(model))
    if file.suffix not in SUFFIXES:
        raise InputError(f"model: expected a file ending in {', '.join(SUFFIXES)}, found {str(model)!r}")
    request = ModelAudit(
        file,
        "",
        input_shape=None if given is not None else input_shape,
        attacks=None if attacks is None else [_attack(attack) for attack in attacks],
        evaluators=evaluators,
        **options,
    )
    network = given_network(request) if given is None else given
    store = Store(out or RUNS / f"{experiment_name(file)}-{network.fingerprint[:SHORT]}")
    with ExitStack() as stack:
        if plan:
            folder = Path(stack.enter_context(TemporaryDirectory()))
        else:
            stack.enter_context(store.locked())
            folder = store.folder
        files = stack.enter_context(GivenFiles(folder))
        place = Place(folder.absolute() if given is not None else file.parent.absolute(), root)
        if given is not None:
            request = replace(request, file=files.model(given))
        request = replace(
            request,
            dataset=_dataset_name(data, place.folder, files),
            trained_on=_stated_training_data(trained_on, place.folder, files),
            auxiliary=None if auxiliary is None else _dataset_name(auxiliary, place.folder, files),
        )
        experiment, recognised = model_experiment(request, root)
        audit = Audit(experiment, place, store, model_command(request), cache=cache)
        store.need_subject(audit.subject)
        files.keep()
        yield audit, recognised


def _attack(attack: AttackLike) -> str | Table:
    return attack_table(attack) if isinstance(attack, Attack) else attack


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


def _dataset_name(data: ModelData, model_folder: Path, files: GivenFiles) -> str:
    """The name of the data in an experiment: its own name, or a path relative to the folder of the model."""
    if isinstance(data, Dataset):
        return _relative(files.data(data), model_folder)
    if str(data) in dataset_names():
        return str(data)
    if not isinstance(data, (str, Path)):
        raise InputError(f"data: expected a name, a path or a dataset of images, found {type(data).__name__}")
    choose_source(str(data))  # an error names the path as the caller wrote it
    return _relative(Path(data), model_folder)


def _stated_training_data(trained_on: TrainedOn, model_folder: Path, files: GivenFiles) -> str | None:
    if trained_on is None:
        return None
    if isinstance(trained_on, (str, Path)):
        if str(trained_on) == OFFICIAL_TRAINING:
            return OFFICIAL_TRAINING
        file = expanded(trained_on, "trained_on")
        if file.is_dir() or not file.exists():
            kind = "a folder" if file.is_dir() else "nothing"
            raise DataError(
                f"trained_on: expected '{OFFICIAL_TRAINING}' or a file of sample indices, found {kind} at {trained_on}"
            )
        return _relative(file, model_folder)
    indices = np.asarray(trained_on)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError(f"trained_on: expected indices of samples (N,), found {indices.dtype} {indices.shape}")
    return _relative(files.indices(indices), model_folder)


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(expanded(path).absolute(), folder.absolute())
