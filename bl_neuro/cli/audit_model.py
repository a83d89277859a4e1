"""`bl-neuro audit FILE.net --dataset NAME`: what a stranger's network is asked with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bl_neuro.cli.output import say
from bl_neuro.data import dataset_names
from bl_neuro.errors import InputError
from bl_neuro.experiment.given_model import SUFFIXES, ModelAudit, model_experiment
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.training_data import OFFICIAL_TRAINING

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class ModelOptions:
    """Options of the command that are about a model file, as they were typed; None where they were not."""

    dataset: str | None = None
    steps: int | None = None
    encoder: str | None = None
    input_range: str | None = None
    readout: str | None = None
    class_map: str | None = None
    layers: int | None = None
    input_shape: str | None = None
    queries: int | None = None
    restarts: int | None = None
    lava: bool = True
    trained_on: str | None = None


def wanted_audit(named: str, out: Path | None, root: Path | None, options: ModelOptions, quiet: bool) -> Audit:
    """The audit of an experiment, or of the model file that `named` is; of that, what is recognised is said.

    Raises:
        InputError: options that do not go with it. Otherwise as `Audit.of` and `model_experiment`.
    """
    path = Path(named).expanduser()
    if path.suffix not in SUFFIXES:
        if options != ModelOptions():
            raise InputError("--dataset and the options of a model: expected a model file, found an experiment")
        return Audit.of(named, out, root)
    if options.dataset is None:
        raise InputError("--dataset: expected the dataset that the model is for; see bl-neuro data status")
    asked = ModelAudit(
        path,
        options.dataset if options.dataset in dataset_names() else str(Path(options.dataset).expanduser().absolute()),
        options.steps,
        options.encoder,
        None if options.input_range is None else _numbers(options.input_range, "--input-range", float),
        options.readout,  # type: ignore[arg-type]  # the experiment's types are checked
        None if options.class_map is None else _numbers(options.class_map, "--class-map", int),
        options.layers,
        None if options.input_shape is None else _numbers(options.input_shape, "--input-shape", int),
        options.queries,
        5 if options.restarts is None else options.restarts,
        options.lava,
        None if options.trained_on is None else _from_folder(options.trained_on, path.parent),
    )
    experiment, found = model_experiment(asked, root)
    if not quiet:
        say(f"{path.name}: {found.said}")
    return Audit(experiment, Place(path.parent.absolute(), root), Store(out or Path("runs") / experiment.name))


def _from_folder(trained_on: str, folder: Path) -> str:
    """The official part's word, or the file's path as seen from `folder`."""
    if trained_on == OFFICIAL_TRAINING:
        return trained_on
    return os.path.relpath(Path(trained_on).expanduser().absolute(), folder.absolute())


def _numbers(text: str, option: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{option}: expected numbers with commas between them, found {text!r}") from error
