"""Creates the audit of an existing model file from the file and the name of a dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from bl_neuro.access import Reveals, response_classes
from bl_neuro.arrays import IntArray
from bl_neuro.attacks import ATTACKS
from bl_neuro.backends import find_backend, missing_reason, open_target
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.checks import MAX_STEPS, problem_text, whole_number
from bl_neuro.data import EventDataset
from bl_neuro.data.registry import dataset_source
from bl_neuro.data.samples import Samples
from bl_neuro.data.split import automatic_split
from bl_neuro.deploy.loihi_limits import never_spikes
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.definition import DatasetPart, Experiment, ModelPart
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.material import Place, check_class_map, load_data, loaded_model, with_input_range
from bl_neuro.experiment.training_data import OFFICIAL_TRAINING, of_given_target
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.settings import setting_names
from bl_neuro.training.plans import plan_for
from bl_neuro.training.registry import EVALUATORS

Table = Mapping[str, Any]
VerifyOn = str | Literal[False] | None
Part = TypeVar("Part", bound=BaseModel)
FEWEST_HELD_OUT = 50
"""Minimum number of samples per class in an official test set, to train and test evaluators within it."""


@dataclass(frozen=True)
class ModelAudit:
    """A model file to audit, with options. Values that are None are inferred on the dataset or have the defaults below.

    file: the model file. dataset: a name, or the path of an .npz file or of a folder with one subfolder of images per
    class. attacks, evaluators: names or tables as in an experiment file; by default those that declare `audits_models`.
    An attack given by its name has the settings that suit the dataset. steps: by default those of the plan for the
    dataset. queries: number of queries per class of named attacks that have this setting, in
    addition to their warm start.
    restarts: number of runs of each attack. substrates: by default one with floating-point arithmetic that can run the
    model, and the emulator of Loihi. verify_on: the substrate on which the spikes of the model are verified and
    attacks repeated; by default the one that a backend among `substrates` declares to emulate, False for none.
    trained_on: as in `[model]` of an experiment; a relative path starts at the folder of the model. convention, dt,
    reset: for a .nir file, as in `bl_neuro.load`. auxiliary: the attacker's public data, as `name` of `[auxiliary]`.
    baselines: names of zero-query baselines, by default all that apply.
    """

    file: Path
    dataset: str
    attacks: Sequence[str | Table] | None = None
    evaluators: Sequence[str | Table] | None = None
    steps: int | None = None
    encoder: str | None = None
    input_range: Sequence[float] | None = None
    readout: str | None = None
    class_map: Sequence[int] | None = None
    layers: int | None = None
    input_shape: Sequence[int] | None = None
    queries: int | None = None
    restarts: int = 5
    verify_on: VerifyOn = None
    trained_on: str | None = None
    substrates: Sequence[str] | None = None
    convention: str | None = None
    dt: float | None = None
    reset: str | None = None
    auxiliary: str | None = None
    baselines: Sequence[str] | None = None


def model_experiment(request: ModelAudit, root: Path | None = None) -> tuple[Experiment, Recognised]:
    """Creates the experiment: attacks, evaluators, and replays on the substrate that one of its substrates emulates.

    What the options do not state about inputs and outputs is inferred on the evaluators' part of the dataset.

    Raises:
        ExperimentError, DataError, ModelFileError: the model or the dataset cannot be audited, or they do not fit
            together. InputError: an unknown attack, `queries` without an attack that has this setting, no substrates,
            or an invalid number of steps.
    """
    _check(request)
    place = Place(request.file.parent.absolute(), root)
    data = load_data(DatasetPart(name=request.dataset), place)
    dataset = {"name": request.dataset, "split": _split_kind(data, request.trained_on)}
    part = _part(DatasetPart, dataset)
    split = of_given_target(data, part, request.trained_on, place.folder).split
    model = _model_table(request)
    network = loaded_model(_part(ModelPart, model), place)
    steps = plan_for(data.name).steps if request.steps is None else request.steps
    substrates = default_substrates(network) if request.substrates is None else list(request.substrates)
    recognised = recognise(
        network,
        split.evaluator,
        steps,
        substrate=substrates[-1],
        encoder=request.encoder,
        input_range=request.input_range,
        class_map=request.class_map,
    )
    model["class_map"] = list(recognised.class_map)
    model["encoder"] = recognised.encoder
    model["input_range"] = None if recognised.input_range is None else list(recognised.input_range)
    model = {name: value for name, value in model.items() if value is not None}
    return experiment_from(_document(request, data.name, network, substrates, steps, model, dataset)), recognised


def _check(request: ModelAudit) -> None:
    """Raises InputError for values that are used before the experiment is checked."""
    if request.steps is not None and not 1 <= (whole_number(request.steps) or 0) <= MAX_STEPS:
        raise InputError(f"steps: expected a whole number in 1..{MAX_STEPS}, found {request.steps!r}")
    if request.substrates is not None and not list(request.substrates):
        raise InputError("substrates: expected at least one substrate, found none; leave them out for the default")


def given_network(request: ModelAudit) -> Network:
    """The network in the model file. Raises ExperimentError or ModelFileError if it cannot be read as stated."""
    return loaded_model(_part(ModelPart, _model_table(request)), Place(request.file.parent.absolute()))


def _model_table(request: ModelAudit) -> dict[str, Any]:
    """`[model]`, as far as the request states it."""
    stated = ("encoder", "readout", "layers", "trained_on", "convention", "dt", "reset")
    table: dict[str, Any] = {name: getattr(request, name) for name in stated if getattr(request, name) is not None}
    for name in ("input_range", "class_map", "input_shape"):
        if getattr(request, name) is not None:
            table[name] = list(getattr(request, name))
    return {"file": request.file.name, **table}


def _split_kind(data: Samples, trained_on: str | None) -> str:
    """Returns "official" if evaluators can use the official test set alone and it is large enough, else "three-way"."""
    if trained_on is not None:
        return "official" if trained_on == OFFICIAL_TRAINING else "three-way"
    return automatic_split(data, FEWEST_HELD_OUT)


def _part(kind: type[Part], values: dict[str, Any]) -> Part:
    """`values` as a part of an experiment. Raises ExperimentError with all problems."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, details['loc']))}: {problem_text(details)}" for details in error.errors()]
        raise ExperimentError("; ".join(problems), problems) from error


def _document(
    request: ModelAudit,
    name: str,
    network: Network,
    substrates: list[str],
    steps: int,
    model: dict[str, Any],
    dataset: dict[str, Any],
) -> dict[str, Any]:
    """The experiment with the structure of an experiment file."""
    shown = views(network)
    usual = [attack for attack, kind in ATTACKS.usable().items() if kind.audits_models]
    chosen = usual if request.attacks is None else request.attacks
    attacks = [_attack_table(attack, name, shown, request.queries) for attack in chosen]
    named = [table for attack, table in zip(chosen, attacks) if isinstance(attack, str)]
    if request.queries is not None and not any("queries" in table["settings"] for table in named):
        raise InputError("queries: none of the attacks that are given by name has this setting; leave it out")
    return {
        "name": experiment_name(request.file),
        "description": f"{request.file.name}, a given network, on {name}",
        "restarts": request.restarts,
        "steps": steps,
        "substrates": substrates,
        "skip_missing": request.substrates is None,
        "dataset": dataset,
        "model": model,
        "evaluators": _evaluator_tables(request.evaluators),
        "attacks": attacks,
        **_verification(request.verify_on, substrates, attacks),
        **({} if request.auxiliary is None else {"auxiliary": {"name": request.auxiliary}}),
        **({} if request.baselines is None else {"baselines": list(request.baselines)}),
    }


def experiment_name(file: Path) -> str:
    """The name of the audit of a model file."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", file.stem)[:64].lstrip("_.-") or "model"


def _attack_table(attack: str | Table, dataset: str, shown: list[Reveals], queries: int | None) -> dict[str, Any]:
    """The table of an attack. A name gets settings for the dataset; a black box reveals outputs that the attack uses.

    Raises:
        InputError: there is no such attack.
    """
    table = {"attack": attack, "settings": {}} if isinstance(attack, str) else dict(attack)
    name = str(table.get("attack"))
    kind = ATTACKS.find(name)
    if isinstance(attack, str):
        known: list[str] = setting_names(kind) if is_dataclass(kind) else []
        source = dataset_source(dataset)
        suited = {} if source is None else source.attack_settings.get(name, {})
        table["settings"] = {**suited, **({} if queries is None or "queries" not in known else {"queries": queries})}
        if preset := kind.preset_for(dataset):
            table["preset"] = preset
    if kind.access == "black_box" and "reveals" not in table:
        table["reveals"] = [view for view in shown if view in kind.reveals] or list(kind.reveals[:1])
    return table


def _evaluator_tables(evaluators: Sequence[str | Table] | None) -> list[Table]:
    usual = [name for name, kind in EVALUATORS.usable().items() if kind.audits_models]
    chosen = usual if evaluators is None else evaluators
    return [{"kind": part} if isinstance(part, str) else dict(part) for part in chosen]


def _verification(verify_on: VerifyOn, substrates: list[str], attacks: list[dict[str, Any]]) -> dict[str, Any]:
    """`verify`, and `replays` of attacks on spike counts; empty if there is no substrate to verify on."""
    if verify_on is False:
        return {}
    emulated: dict[str, str] = {}
    for name in substrates:
        if (original := find_backend(name).emulates) is not None:
            emulated.setdefault(original, name)
    truth = next(iter(emulated), None) if verify_on is None else verify_on
    if truth is None or (verify_on is None and truth in substrates):
        return {}
    arithmetic, others = find_backend(truth).arithmetic, [name for name in substrates if name != truth]
    if not others:
        raise InputError(f"verify_on: expected another substrate than those of the audit, found {truth!r}")
    alike = [name for name in others if arithmetic is not None and find_backend(name).arithmetic == arithmetic]
    of = emulated.get(truth) or [*alike, *reversed(others)][0]
    counted = [
        str(table.get("label", table["attack"])) for table in attacks if "counts" in (table.get("reveals") or ())
    ]
    if not counted or truth in substrates or of not in (emulated.get(truth), *alike):
        return {"verify": [of, truth]}
    replay = {"substrate": truth, "of": of, "attacks": counted, "reveals": ["counts"]}
    return {"verify": [of, truth], "replays": [replay]}


def default_substrates(network: Network) -> list[str]:
    """An installed floating-point substrate that can run `network`, if any, and the emulator of Loihi."""
    chosen = {
        backend.arithmetic: name
        for name, backend in reversed(BACKENDS.usable().items())
        if backend.differentiable and not backend.problems(network) and missing_reason(backend) is None
    }
    emulator = next(name for name, backend in BACKENDS.usable().items() if backend.emulates is not None)
    return [*([chosen["real"]] if "real" in chosen else []), emulator]


def views(network: Network) -> list[Reveals]:
    """The outputs to reveal: counts and label, or scores and label if the class is read from the membrane potential."""
    if network.readout == "membrane" or never_spikes(network):
        return ["scores", "label"]
    return ["counts", "label"]


SAMPLES = 256
"""Maximum number of samples for trying each option."""
RANGES: tuple[tuple[float, float] | None, ...] = (None, (-1.0, 1.0))
"""Candidate input ranges of pixel values 0 and 1: the values themselves, or values around 0."""


@dataclass(frozen=True)
class Recognised:
    """How a network encodes a dataset, as inferred, with its accuracy on `samples` samples.

    encoder, input_range, class_map: as in `[model]` of an experiment. chance: the accuracy of guessing.
    """

    encoder: str | None
    input_range: tuple[float, float] | None
    class_map: tuple[int, ...]
    accuracy: float
    samples: int
    chance: float

    @property
    def sentence(self) -> str:
        """One sentence about the encoding and the accuracy."""
        pixels = "" if self.input_range is None else f", pixels from {self.input_range[0]:g} to {self.input_range[1]:g}"
        moved = "" if self.class_map == tuple(range(len(self.class_map))) else f", outputs {list(self.class_map)}"
        inputs = (
            "takes events as they are" if self.encoder is None else f"takes samples in the encoding {self.encoder!r}"
        )
        accuracy = f"accuracy {self.accuracy:.3f} on {self.samples} samples (chance {self.chance:.3f})"
        return f"{inputs}{pixels}{moved}: {accuracy}"


def recognise(
    network: Network,
    data: Samples,
    steps: int,
    *,
    substrate: str = "loihi",
    encoder: str | None = None,
    input_range: Sequence[float] | None = None,
    class_map: Sequence[int] | None = None,
) -> Recognised:
    """Tries all options that are not given on samples of `data`, in `steps` steps, and returns the most accurate ones.

    For inputs it tries rate-coded and held spikes or, for networks with current inputs, pixels as currents in 0..1 and
    -1..1. For outputs it tries their own numbers and the assignment to classes with the highest accuracy. `data` must
    not be the test part.

    Raises:
        ExperimentError: the network does not take samples of this size, or `class_map` does not fit.
    """
    if class_map is not None:
        check_class_map(class_map, network.classes, data.classes)
    if np.prod(network.input_shape) != np.prod(data.input_shape):
        raise ExperimentError(
            f"model: expected the input shape of the dataset, {data.input_shape}, found {network.input_shape}"
        )
    current = network.input_kind == "current"
    encoders: tuple[str | None, ...] = ("direct",) if current else ("rate", "held")
    if isinstance(data, EventDataset):
        encoders = (None,)
    elif encoder is not None:
        encoders = (encoder,)
    ranges = RANGES if current and input_range is None else (_pair(input_range),)
    part = data.subset(stream(0, "recognise").permutation(len(data.labels))[:SAMPLES])
    candidates = []
    for low_high in ranges:
        shown = network if low_high is None else with_input_range(network, *low_high)
        for name in encoders:
            answers = _answers(shown, part, steps, substrate, name)
            mapped = tuple(class_map) if class_map is not None else _class_map(answers, part, network.classes)
            hits = [output >= 0 and mapped[output] == label for output, label in zip(answers, part.labels)]
            candidates.append(Recognised(name, low_high, mapped, float(np.mean(hits)), len(answers), 1 / data.classes))
    return max(candidates, key=lambda candidate: candidate.accuracy)


def _pair(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _answers(network: Network, data: Any, steps: int, substrate: str, encoder: str | None) -> IntArray:
    spikes = data.spikes(slice(None), steps, stream(0, "recognise", 1), encoder)
    with open_target(network, substrate) as target:
        response = target.run(spikes.reshape(steps, len(data.labels), *network.input_shape))
        return np.asarray(response_classes(response, network.readout))


def _class_map(answers: IntArray, data: Samples, outputs: int) -> tuple[int, ...]:
    """The class of each output: its own number, unless another assignment is at least twice as accurate."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((outputs, data.classes))
    for answer, label in zip(answers, data.labels):
        if answer >= 0:
            table[answer, label] += 1
    own = tuple(range(outputs))
    if outputs > data.classes:
        raise ExperimentError(
            f"model: expected at most {data.classes} outputs, the number of classes of the dataset, found {outputs}"
        )
    rows, columns = linear_sum_assignment(table, maximize=True)
    return tuple(columns.tolist()) if table[rows, columns].sum() > 2 * np.trace(table) else own
