"""The inputs of an experiment: its data, the split, and the given model or endpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.data import (
    Dataset,
    EventDataset,
    Samples,
    Split,
    load_dataset,
    only_classes,
)
from bl_neuro.data.registry import DATASETS, choose_source
from bl_neuro.data.split import split_by_kind
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.auxiliary_data import Auxiliary, load_auxiliary
from bl_neuro.experiment.definition import DatasetPart, EndpointPart, Experiment, ModelPart
from bl_neuro.experiment.overlap import Overlap
from bl_neuro.experiment.training_data import of_given_target, of_trained_targets
from bl_neuro.experiment.whole_digest import whole_digest
from bl_neuro.layers import Input
from bl_neuro.model_file import load
from bl_neuro.network import Network
from bl_neuro.seeding import derived_seed
from bl_neuro.training.samples_digest import samples_digest


@dataclass(frozen=True)
class Place:
    """Where an experiment's data and files are, on which results do not depend.

    root: None for BL_NEURO_DATA. token_file: a file with the token of the endpoints, instead of environment variables.
    """

    folder: Path
    root: Path | None = None
    token_file: Path | None = None


class Material:
    """The data of an experiment, and the given network if there is one. `definition`: what results depend on.

    Raises:
        DataError, ModelFileError: the data or the model is missing or damaged. ExperimentError: they do not fit the
            experiment or each other.
    """

    def __init__(self, experiment: Experiment, place: Place) -> None:
        part = experiment.dataset
        data = load_data(part, place)
        if data.classes < 2:
            raise ExperimentError(f"dataset: expected samples of at least two classes, found one in {part.name}")
        self.data: Samples = data
        """All samples, whatever part of the split they belong to."""
        self.name: str = data.name
        described = given_description(experiment)
        if experiment.given:
            training = of_given_target(data, part, None if described is None else described.trained_on, place.folder)
        else:
            own = [evaluator.called for evaluator in experiment.evaluators if evaluator.data == "target"]
            training = of_trained_targets(split_of(data, part, part.split_seed), own, part.redraw)
        self.part: DatasetPart = part
        self.split: Split[Any] = training.split
        """The split by `split_seed`: of everything, except of targets that each draw their own (see `split_at`)."""
        self._drawn: tuple[int, Split[Any]] = part.split_seed, training.split
        self._means: tuple[int, FloatArray] | None = None
        self.overlap: Overlap = training.overlap
        self.shape: tuple[int, ...] = tuple(data.input_shape)
        self.dataset_classes: int = data.classes
        self.class_names: tuple[str, ...] = tuple(data.class_names)
        self.definition: dict[str, Any] = {
            "name": data.name,
            "digest": data_digest(data),
            **part.definition,
            **training.definition,
            **packages_of((DATASETS, choose_source(part.name, place.folder).source.name)),
        }
        self.endpoints: dict[str, EndpointPart] = {part.name: part for part in experiment.endpoints}
        self.folder: Path = place.folder
        self.token_file: Path | None = place.token_file
        self.root: Path | None = place.root
        self.data_name: str = part.name
        self.auxiliary_part = experiment.auxiliary
        self._described = described
        self.network = None if experiment.model is None else opened_model(experiment.model, place)
        self.class_map = self._class_map()
        wanted = sorted(self.class_map) if experiment.classes is None else experiment.classes
        missing = sorted(set(wanted) - set(self.class_map))
        if missing:
            raise ExperimentError(f"classes: expected some of {sorted(self.class_map)}, found {missing}")
        self.classes: list[int] = wanted
        """Classes of the dataset that are inverted."""

    @property
    def of_events(self) -> bool:
        """Whether samples are spikes instead of images."""
        return isinstance(self.split.test, EventDataset)

    @property
    def encoder(self) -> str | None:
        """How images become inputs when accuracy is measured; None for events."""
        if self.of_events:
            return None
        if self._described is not None and self._described.encoder is not None:
            return self._described.encoder
        return "direct" if self.network is not None and self.network.input_kind == "current" else "rate"

    @cached_property
    def whole_digest(self) -> str | None:
        """SHA-256 of all samples, also of events; None for a dataset of a type that is not known."""
        return whole_digest(self.data)

    @property
    def outputs(self) -> list[int]:
        """The output of the network for each of `classes`."""
        return [self.class_map.index(label) for label in self.classes]

    def definition_of(self, seed: int) -> dict[str, Any]:
        """`definition` for the target of `seed`: with the seed of its own split, if each target draws one."""
        if not self.part.redraw:
            return self.definition
        return {**self.definition, "split_seed": derived_seed(self.part.split_seed, "split of a target", seed)}

    def split_at(self, split_seed: int) -> Split[Any]:
        """The split with this seed, as in the definition of a cell. The last one is kept in memory."""
        if split_seed == self.part.split_seed:
            return self.split
        if self._drawn[0] != split_seed:
            self._drawn = split_seed, split_of(self.data, self.part, split_seed)
        return self._drawn[1]

    def class_means_at(self, split_seed: int) -> FloatArray:
        """The mean image of each class, (classes, C, H, W), over the target's part of a split."""
        if self._means is None or self._means[0] != split_seed:
            self._means = split_seed, self.split_at(split_seed).target.class_means()
        return self._means[1]

    @cached_property
    def class_means(self) -> FloatArray:
        """The mean image of each class, (classes, C, H, W), over the samples that `overlap` states."""
        pictured = self.data if self.part.redraw else self.split.target
        means: FloatArray = pictured.class_means()
        return means

    @cached_property
    def auxiliary(self) -> Auxiliary | None:
        """The public data of the attacker; None if the experiment has no `[auxiliary]`.

        Raises:
            DataError: it is missing or damaged. ExperimentError: it is the dataset of the targets.
        """
        if self.auxiliary_part is None:
            return None
        own, public = (self.folder / name for name in (self.data_name, self.auxiliary_part.name))
        if own.resolve() == public.resolve():
            raise ExperimentError(
                f"auxiliary: expected public data other than the targets' dataset, found {self.data_name} for both"
            )
        return load_auxiliary(self.auxiliary_part, self.folder, self.root, self.shape, self.class_names)

    def input_shape(self, substrate: str) -> tuple[int, ...]:
        """Shape of one input frame of the given model or endpoint."""
        endpoint = self.endpoints.get(substrate)
        if endpoint is not None and endpoint.input_shape is not None:
            return tuple(endpoint.input_shape)
        return self.shape if self.network is None else self.network.input_shape

    def test(self, split_seed: int) -> Samples:
        """The test part of a split, with outputs as labels. Samples of classes without an output are left out."""
        test: Samples = self.split_at(split_seed).test
        if self.class_map == list(range(self.dataset_classes)):
            return test
        output = {label: number for number, label in enumerate(self.class_map)}
        kept: Any = test.subset(np.flatnonzero(np.isin(test.labels, self.class_map)))
        labels = np.array([output[label] for label in kept.labels.tolist()], dtype=kept.labels.dtype)
        # Any: `replace` takes dataclasses, which every kind of samples is, and the protocol does not say
        relabelled: Samples = replace(kept, labels=labels)
        return relabelled

    def _class_map(self) -> list[int]:
        given = None if self._described is None else self._described.class_map
        outputs = self.network.classes if self.network is not None else len(given or range(self.dataset_classes))
        class_map = given or list(range(outputs))
        check_class_map(class_map, outputs, self.dataset_classes)
        if self.network is not None and np.prod(self.network.input_shape) != np.prod(self.shape):
            raise ExperimentError(
                f"model: expected the input shape of the dataset, {self.shape}, found {self.network.input_shape}"
            )
        return class_map


def check_class_map(class_map: Sequence[int], outputs: int, classes: int) -> None:
    """Raises ExperimentError unless `class_map` contains a class in 0..classes-1 for each output, each once."""
    if len(class_map) != outputs or len(set(class_map)) != outputs or not set(class_map) <= set(range(classes)):
        raise ExperimentError(
            f"class_map: expected a class in 0..{classes - 1} for each of {outputs} outputs, each once, "
            f"found {list(class_map)}"
        )


def given_description(experiment: Experiment) -> ModelPart | EndpointPart | None:
    """The part that describes the given model or endpoint; None if targets are trained."""
    if experiment.model is None and experiment.endpoints:
        return experiment.endpoints[0]
    return experiment.model


def load_data(part: DatasetPart, place: Place) -> Any:
    """Loads the dataset of an experiment: by name, or the user's own, relative to the experiment file.

    Raises:
        DataError: it is missing or damaged. ExperimentError: it does not have the chosen classes.
    """
    size = None if part.size is None else (part.size[0], part.size[1])
    data = load_dataset(part.name, place.root, size=size, folder=place.folder)
    if part.classes is None:
        return data
    try:
        return only_classes(data, part.classes)
    except InputError as error:
        raise ExperimentError(f"dataset.{error}") from error


def data_digest(data: Any) -> str:
    """SHA-256 of all images and labels; for events, of all labels and some frames."""
    if not isinstance(data, Dataset):
        return samples_digest(data)
    digest = hashlib.sha256(repr((data.pixels.dtype.str, data.pixels.shape)).encode())
    for values in (data.pixels, data.labels.astype(np.int64), data.held_out):
        if values is not None:
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def split_of(data: Any, part: DatasetPart, split_seed: int) -> Split[Any]:
    """Splits `data` for targets, evaluators and tests. Raises ExperimentError if sizes do not fit the split."""
    sizes = {"target": part.target, "evaluator": part.evaluator, "test": part.test}
    if part.split != "official" and any(size is not None for size in sizes.values()):
        raise ExperimentError("dataset: target, evaluator, test: sizes are only for an official split; leave them out")
    split: Split[Any] = split_by_kind(data, part.split, split_seed, **sizes)
    return split


def opened_model(model: ModelPart, place: Place) -> Network:
    """Loads the network from a model file, with the stated readout and input range."""
    network = loaded_model(model, place)
    return network if model.input_range is None else with_input_range(network, *model.input_range)


def loaded_model(model: ModelPart, place: Place) -> Network:
    """Loads the network from a model file, with the stated readout; inputs stay as they are in the file."""
    network = load(
        place.folder / model.file,
        model.layers,
        input_shape=model.input_shape,
        convention=model.convention,
        dt=model.dt,
        reset=model.reset,
    )
    if model.readout in (None, network.readout):
        return network
    return Network(network.input_shape, network.layers, model.readout, network.arithmetic)


def with_input_range(network: Network, low: float, high: float) -> Network:
    """Changes `network` with inputs low..high to inputs 0..1: x becomes low + (high - low) x.

    The change is exact: weight w and bias b of its input neurons become (high - low) w and b + low w.

    Raises:
        InputError: the network takes spikes, or low equals high.
    """
    first = network.layers[0]
    if not isinstance(first, Input):
        raise InputError("input_range: only for networks with current inputs, but this network takes spikes")
    if low == high:
        raise InputError(f"input_range: expected two different values, found {low} and {high}")
    changed = replace(first, weight=(high - low) * first.weight, bias=first.bias + low * first.weight)
    return Network(network.input_shape, [changed, *network.layers[1:]], network.readout, network.arithmetic)
