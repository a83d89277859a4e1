"""An audit of a model file that somebody else made, from its name and that of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from bl_neuro.access import response_classes
from bl_neuro.arrays import IntArray
from bl_neuro.backends import open_target
from bl_neuro.data import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.deploy.loihi_limits import never_spikes
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.checks import further_problems
from bl_neuro.experiment.definition import DatasetPart, Experiment, ModelPart
from bl_neuro.experiment.material import Place, load_data, opened_model, with_input_range
from bl_neuro.experiment.training_data import OFFICIAL_TRAINING, of_given_target
from bl_neuro.network import Network, Readout
from bl_neuro.seeding import stream
from bl_neuro.training.plans import plan_for

Checked = TypeVar("Checked", bound=BaseModel)
SUFFIXES = (".net", ".nir", ".safetensors")
PRESETS = {"mnist": "for_mnist", "nmnist": "for_nmnist", "dvs_gesture": "for_gestures"}
SETTINGS: dict[str, dict[str, Any]] = {"digits": {"window": 3.0, "contrast": "mixed"}}
FEWEST_HELD_OUT = 50
"""Samples of each class that an official test part must have to train and test evaluators within it."""


@dataclass(frozen=True)
class ModelAudit:
    """What is asked for. steps: those of the plan for the dataset by default. queries: a class, after a warm start.

    trained_on: as in `[model]` of an experiment; a file's path is relative to the model's folder.
    """

    file: Path
    dataset: str
    steps: int | None = None
    encoder: str | None = None
    input_range: Sequence[float] | None = None
    readout: Readout | None = None
    class_map: Sequence[int] | None = None
    layers: int | None = None
    input_shape: Sequence[int] | None = None
    queries: int | None = None
    restarts: int = 5
    lava: bool = True
    trained_on: str | None = None


def model_experiment(asked: ModelAudit, root: Path | None = None) -> tuple[Experiment, Recognised]:
    """The experiment: v1 and v2 on `loihi`, judged by two evaluators, and an attack replayed on real Lava.

    What is not given of inputs and outputs is recognised on the evaluators' part of the dataset.

    Raises:
        ExperimentError, DataError, ModelFileError: the model, the dataset, or both together cannot be audited.
    """
    place = Place(asked.file.parent.absolute(), root)
    data = load_data(DatasetPart(name=asked.dataset), place)
    dataset = {"name": asked.dataset, "split": _split_kind(data, asked.trained_on)}
    part = _checked(DatasetPart, dataset)
    split = of_given_target(data, part, asked.trained_on, place.folder).split
    model: dict[str, Any] = {
        "file": asked.file.name,
        "readout": asked.readout,
        "layers": asked.layers,
        "trained_on": asked.trained_on,
        "input_shape": None if asked.input_shape is None else list(asked.input_shape),
    }
    network = opened_model(_checked(ModelPart, model), place)
    steps = asked.steps or plan_for(data.name).steps
    found = recognise(
        network, split.evaluator, steps, encoder=asked.encoder, input_range=asked.input_range, class_map=asked.class_map
    )
    model |= {"encoder": found.encoder, "class_map": list(found.class_map)}
    model |= {"input_range": None if found.input_range is None else list(found.input_range)}
    document = _document(asked, data.name, network, steps, {k: v for k, v in model.items() if v is not None}, dataset)
    problems = further_problems(document)
    if problems:
        raise ExperimentError("; ".join(f"{'.'.join(map(str, way))}: {said}" for way, said in problems))
    return _checked(Experiment, document), found


def _split_kind(data: Samples, trained_on: str | None) -> str:
    """Official where evaluators are to use the official test part alone, and it is large enough for that."""
    if trained_on is not None:
        return "official" if trained_on == OFFICIAL_TRAINING else "three-way"
    if data.held_out is None or data.held_out.all():
        return "three-way"
    counts = np.bincount(data.labels[data.held_out], minlength=data.classes)
    return "official" if counts.min() >= FEWEST_HELD_OUT else "three-way"


def _checked(kind: type[Checked], values: dict[str, Any]) -> Checked:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}, found {each['input']!r}" for each in error.errors()
        ]
        raise ExperimentError("; ".join(wrong)) from error


def _document(
    asked: ModelAudit, name: str, network: Network, steps: int, model: dict[str, Any], dataset: dict[str, Any]
) -> dict[str, Any]:
    shown = views(network)
    settings = {**SETTINGS.get(name, {}), **({} if asked.queries is None else {"queries": asked.queries})}
    search: dict[str, Any] = {"attack": "v2", "reveals": shown, "settings": settings}
    if name in PRESETS:
        search["preset"] = PRESETS[name]
    replays = [{"substrate": "lava", "of": "loihi", "attacks": ["v2"], "reveals": ["counts"]}]
    return {
        "name": re.sub(r"[^A-Za-z0-9_.-]", "-", asked.file.stem)[:64].lstrip("_.-") or "model",
        "description": f"{asked.file.name}, a network that others trained, on {name}",
        "restarts": asked.restarts,
        "steps": steps,
        "substrates": ["loihi"],
        "dataset": dataset,
        "model": model,
        **({"verify": ["loihi", "lava"]} if asked.lava else {}),
        "evaluators": [{"kind": "conv"}, {"kind": "spiking"}],
        "attacks": [{"attack": "v1"}, search],
        "replays": replays if asked.lava and "counts" in shown else [],
    }


def views(network: Network) -> list[str]:
    """What is worth revealing: counts and label, or scores and label where the class is read from the membrane."""
    if network.readout == "membrane" or never_spikes(network):
        return ["scores", "label"]
    return ["counts", "label"]


SAMPLES = 256
"""Most samples that are shown in each way."""
RANGES: tuple[tuple[float, float] | None, ...] = (None, (-1.0, 1.0))
"""What pixels 0 and 1 may stand for as currents: themselves, or images around 0."""


@dataclass(frozen=True)
class Recognised:
    """How a network is best shown a dataset, and how often it is right then, of `samples` shown.

    encoder, input_range, class_map: as `[model]` of an experiment has them. chance: what guessing would score.
    """

    encoder: str | None
    input_range: tuple[float, float] | None
    class_map: tuple[int, ...]
    accuracy: float
    samples: int
    chance: float

    @property
    def said(self) -> str:
        """In words."""
        pixels = "" if self.input_range is None else f", pixels from {self.input_range[0]:g} to {self.input_range[1]:g}"
        moved = "" if self.class_map == tuple(range(len(self.class_map))) else f", outputs {list(self.class_map)}"
        shown = "as events" if self.encoder is None else f"with encoder {self.encoder}"
        return (
            f"shown {shown}{pixels}{moved}: right in {self.accuracy:.3f} of {self.samples} (chance {self.chance:.3f})"
        )


def recognise(
    network: Network,
    data: Samples,
    steps: int,
    *,
    encoder: str | None = None,
    input_range: Sequence[float] | None = None,
    class_map: Sequence[int] | None = None,
) -> Recognised:
    """Tries what is not given on samples of `data`, in `steps` steps on `loihi`; what is right most often comes out.

    Tried are: rate and held spikes, or for input neurons pixels as currents in 0..1 and -1..1; and of outputs, the
    numbers themselves and the assignment to classes that is right most often. Data that is not for testing, please.

    Raises:
        ExperimentError: the network does not take samples of this size.
    """
    if np.prod(network.input_shape) != np.prod(data.input_shape):
        raise ExperimentError(
            f"model: expected inputs like the dataset's {data.input_shape}, found {network.input_shape}"
        )
    current = network.input_kind == "current"
    encoders: tuple[str | None, ...] = ("direct",) if current else ("rate", "held")
    if isinstance(data, EventDataset):
        encoders = (None,)
    elif encoder is not None:
        encoders = (encoder,)
    ranges = RANGES if current and input_range is None else (_pair(input_range),)
    part = data.subset(stream(0, "recognise").permutation(len(data.labels))[:SAMPLES])
    found = []
    for low_high in ranges:
        shown = network if low_high is None else with_input_range(network, *low_high)
        for name in encoders:
            answers = _answers(shown, part, steps, name)
            mapped = tuple(class_map) if class_map is not None else _class_map(answers, part, network.classes)
            right = float(np.mean([each >= 0 and mapped[each] == label for each, label in zip(answers, part.labels)]))
            found.append(Recognised(name, low_high, mapped, right, len(answers), 1 / data.classes))
    return max(found, key=lambda each: each.accuracy)


def _pair(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _answers(network: Network, data: Any, steps: int, encoder: str | None) -> IntArray:
    spikes = data.spikes(slice(None), steps, stream(0, "recognise", 1), encoder)
    with open_target(network, "loihi") as target:
        response = target.run(spikes.reshape(steps, len(data.labels), *network.input_shape))
        return np.asarray(response_classes(response, network.readout))


def _class_map(answers: IntArray, data: Samples, outputs: int) -> tuple[int, ...]:
    """Output by output its class: its own number, unless another assignment is right twice as often."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((outputs, data.classes))
    for answer, label in zip(answers, data.labels):
        if answer >= 0:
            table[answer, label] += 1
    own = tuple(range(outputs))
    if outputs > data.classes:
        raise ExperimentError(f"model: expected at most {data.classes} outputs, the dataset's classes, found {outputs}")
    rows, columns = linear_sum_assignment(table, maximize=True)
    return tuple(columns.tolist()) if table[rows, columns].sum() > 2 * np.trace(table) else own
