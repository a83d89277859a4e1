"""Runs one attack on one network: the function behind `bl-neuro attack`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.access import Reveals
from bl_neuro.api.attack_images import AuxiliaryImages, attacker_images
from bl_neuro.api.attack_result import (
    INVERSIONS,
    AttackFacts,
    AttackResult,
    AuxiliaryFacts,
    EvaluatorVerdict,
    need_attack_folder,
    pictures_of,
)
from bl_neuro.api.attack_target import SUBSTRATE, AttackedModel, OpenedTarget, Subject, opened_subject
from bl_neuro.api.attack_terms import TWIN, AttackTerms, attack_terms
from bl_neuro.attacks import Attack, Inversions
from bl_neuro.attacks.base import Progress, checked_classes, need_two_classes
from bl_neuro.data import EventDataset, load_dataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import BlNeuroError, InputError
from bl_neuro.experiment.auxiliary_data import Auxiliary
from bl_neuro.experiment.given_model import Recognised, recognise
from bl_neuro.experiment.material import with_input_range
from bl_neuro.remote import EndpointOptions
from bl_neuro.training import Evaluator, load_evaluator
from bl_neuro.training.plans import plan_for

STEPS = 20
"""Number of time steps of an inversion without a dataset that states it."""
BARELY_RECOGNISED = 2.0
"""Accuracy, as a multiple of chance, below which a network is reported not to know the dataset."""


def attack_network(
    model: AttackedModel,
    attack: str | Attack[Any] = "v2",
    *,
    substrate: str | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reveals: Reveals | None = None,
    budget: int | None = None,
    twin: str | None = None,
    auxiliary: AuxiliaryImages | None = None,
    classes: Iterable[int] | None = None,
    steps: int | None = None,
    seed: int = 0,
    dataset: str | Samples | None = None,
    root: str | Path | None = None,
    input_range: Sequence[float] | None = None,
    evaluator: str | Path | Evaluator | None = None,
    out: str | Path | None = None,
    force: bool = False,
    name: str | None = None,
    endpoint: EndpointOptions | None = None,
    progress: Progress | None = None,
) -> AttackResult:
    """Reconstructs an input for each class of a network, from its gradients or from queries only.

        result = bl.attack_network("target.safetensors", "v2", budget=7040, evaluator="evaluator.safetensors")
        result.answers, result.verdicts, result.images

    The attack: `attack` is a name (see `bl_neuro.attacks.ATTACKS`), optionally with `preset` and `settings`, or an
    attack object. A key "attack.blur" in `settings` sets `blur` of the nested setting `attack`. twin: substrate of the
    attacker's copy of the network, for attacks that need one ("snntorch" by default). auxiliary: images that the
    attacker has, for attacks with a generative prior: a dataset by name, the path of a file or folder, or an array
    (N, C, H, W) in 0..1; they are resized to the inputs of the network.

    The target: `model` is a network or model file, which runs on `substrate` ("loihi" by default), the URL of an
    endpoint, or a `BlackBox`. endpoint: for a URL, a dictionary of arguments of `RemoteBlackBox`, such as token, layout
    or session; the environment variable BL_NEURO_TOKEN has the token by default. reveals: output that a black box
    reveals; by default that of the box, or the usual one of the network. budget: total number of queries, to which the
    settings of a named attack are adapted; by default what the settings need.

    The inversions: classes to invert, all by default, with this number of time steps; by default that of the dataset,
    or 20.

    dataset: what the network was trained on, as a name, path or object. It is used to infer how the network encodes
    inputs, and provides the class names. root: folder of downloaded datasets. input_range: for a network with current
    inputs, the currents of pixel values 0 and 1; inferred if there is a dataset, else 0 and 1. evaluator: a file or an
    object that judges the inversions. out: folder for `AttackResult.save`; `force` overwrites the attack in it. name:
    name of the model in the result, its path or URL by default.

    Raises:
        InputError: an argument is wrong or does not apply to this attack or model. ModelFileError, DataError,
            SubstrateError, EndpointError: the model, dataset, substrate or endpoint cannot be used.
    """
    terms = attack_terms(attack, preset, settings, reveals, budget, twin, auxiliary)
    judge = load_evaluator(evaluator) if isinstance(evaluator, (str, Path)) else evaluator
    folder = None if out is None else Path(out)
    with opened_subject(model, substrate, reveals, budget, endpoint) as subject, ExitStack() as stack:
        need_two_classes(subject.classes)
        data = load_dataset(dataset, root) if isinstance(dataset, str) else dataset
        inputs = _inputs(subject, data, steps, input_range)
        where = SUBSTRATE if substrate is None else substrate
        run = _Run(
            inputs, terms, inputs.chosen(classes), judge, name or subject.name, where, seed, _Images(auxiliary, root)
        )
        if folder is not None:
            need_attack_folder(folder, force)
        return run.do(stack, folder, progress)


@dataclass(frozen=True)
class _Inputs:
    """The subject as a function of pixels in 0..1, with what is known about its inputs and classes."""

    subject: Subject
    data: Samples | None
    steps: int
    input_range: tuple[float, float] | None
    recognised: Recognised | None

    @property
    def class_map(self) -> list[int]:
        """The class of each output."""
        return list(range(self.subject.classes)) if self.recognised is None else list(self.recognised.class_map)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of all classes, or None if they are not known."""
        return None if self.data is None else tuple(self.data.class_names)

    def chosen(self, classes: Iterable[int] | None) -> list[int]:
        """The classes to invert, checked; by default every class that an output stands for."""
        known = self.class_map
        if classes is None:
            return sorted(known)
        chosen = checked_classes(classes, max(known) + 1)
        missing = sorted(set(chosen) - set(known))
        if missing:
            raise InputError(f"classes: expected classes that have an output, {sorted(known)}, found {missing}")
        return chosen

    def assumptions(self) -> list[str]:
        """The assumptions about how the network encodes its inputs."""
        network = self.subject.network
        if network is None or network.input_kind != "current":
            return []
        low, high = (0.0, 1.0) if self.input_range is None else self.input_range
        currents = f"pixels 0 and 1 are the input currents {low:g} and {high:g}"
        if self.recognised is not None or self.input_range is not None:
            return [currents]
        return [f"{currents} (the file does not say; give an input range, --input-range, or a dataset)"]

    def description(self) -> str | None:
        """One sentence about what was inferred on the dataset; None without a dataset."""
        if self.recognised is None or self.data is None:
            return None
        share, chance = self.recognised.accuracy, self.recognised.chance
        text = (
            f"On {self.data.name} the network is right in {share:.0%} of {self.recognised.samples} samples "
            f"(chance {chance:.0%})"
        )
        if share < BARELY_RECOGNISED * chance:
            return f"{text}: it does not seem to be trained on this dataset, or takes its inputs in another way."
        return f"{text}."


def _inputs(subject: Subject, data: Samples | None, steps: int | None, input_range: Sequence[float] | None) -> _Inputs:
    """Takes what the caller states and infers the rest on `data`. The network then takes pixels in 0..1."""
    if input_range is not None and len(input_range) != 2:
        raise InputError(f"input_range: expected two values, LOW,HIGH, found {list(input_range)}")
    if subject.network is None and input_range is not None:
        raise InputError("input_range: an endpoint defines the range of its own inputs; leave it out")
    length = steps if steps is not None else STEPS if data is None else plan_for(data.name).steps
    stated = None if input_range is None else (float(input_range[0]), float(input_range[1]))
    recognised = None
    if data is not None and subject.network is not None:
        recognised = recognise(subject.network, data, max(length, 1), input_range=stated)
        stated = recognised.input_range
    if subject.network is not None and stated is not None:
        subject = replace(subject, network=with_input_range(subject.network, *stated))
    return _Inputs(subject, data, length, stated, recognised)


@dataclass(frozen=True)
class _Images:
    """The attacker's images as they are given, or None, and the folder of downloaded datasets."""

    given: AuxiliaryImages | None
    root: str | Path | None

    def of(self, shape: tuple[int, int, int], class_names: Sequence[str]) -> Auxiliary | None:
        """The images in this shape, or None."""
        return None if self.given is None else attacker_images(self.given, self.root, shape, class_names)


@dataclass(frozen=True)
class _Run:
    """One attack, ready to run."""

    inputs: _Inputs
    terms: AttackTerms
    classes: list[int]
    judge: Evaluator | None
    name: str | None
    substrate: str
    seed: int
    images: _Images

    def do(self, stack: ExitStack, folder: Path | None, progress: Progress | None) -> AttackResult:
        """Runs the attack, queries the target and the evaluator with the inversions, and saves the result."""
        inputs, subject = self.inputs, self.inputs.subject
        attack = self.terms.fitted(subject, inputs.data, len(self.classes))
        shape = self._image_shape(attack)
        reveals = self.terms.shown(subject)
        planned = attack.planned_queries(len(self.classes))
        budget = subject.box.budget if subject.box is not None else self.terms.budget or planned
        auxiliary = self.images.of(shape, inputs.class_names or ())
        target = OpenedTarget(
            subject,
            attack,
            stack,
            substrate=self.substrate,
            reveals=reveals,
            budget=budget,
            twin=TWIN if self.terms.twin_substrate is None else self.terms.twin_substrate,
            auxiliary=auxiliary,
        )
        box: Any = attack.open_box(target)
        outputs = [inputs.class_map.index(label) for label in self.classes]
        inversions, error = _kept(
            lambda: attack(box, classes=outputs, steps=inputs.steps, seed=self.seed, progress=progress)
        )
        if folder is not None:  # before anything else is asked of the target, which may fail
            inversions.save(folder / INVERSIONS)
        answers = None if error is not None else target.answers(inversions)
        result = AttackResult(
            inversions,
            tuple(self.classes),
            inputs.class_names,
            None if answers is None else tuple(self._class_of(output) for output in answers),
            self._verdicts(inversions, shape),
            self._facts(
                attack,
                inversions,
                reveals,
                budget,
                [*attack.assumptions(box), *self.terms.size_assumption(shape), *inputs.assumptions()],
                None if auxiliary is None else AuxiliaryFacts(auxiliary.name, auxiliary.digest),
            ),
            shape,
            self._of_events(shape),
            error,
        )
        if folder is not None:
            result.save_facts(folder)
        return result

    def _class_of(self, output: int | None) -> int | None:
        return None if output is None else self.inputs.class_map[output]

    def _facts(
        self,
        attack: Attack[Any],
        inversions: Inversions,
        reveals: Reveals,
        budget: int | None,
        assumptions: list[str],
        auxiliary: AuxiliaryFacts | None,
    ) -> AttackFacts:
        """What was run, on which substrate, with which settings, and at what cost."""
        inputs, network = self.inputs, self.inputs.subject.network
        return AttackFacts(
            attack=attack.name,
            model=self.name,
            fingerprint=None if network is None else network.fingerprint,
            substrate=None if network is None else self.substrate,
            reveals=reveals if self.terms.asks else "gradient",
            budget=budget if self.terms.asks else None,
            twin=self.terms.twin_substrate,
            status=inversions.status.value,
            queries=inversions.queries,
            queries_per_class=inversions.queries_per_class,
            steps=inputs.steps,
            seed=inversions.seed,
            settings=attack.settings(),
            dataset=None if inputs.data is None else inputs.data.name,
            input_range=None if inputs.input_range is None else list(inputs.input_range),
            recognised=inputs.recognised,
            recognition=inputs.description(),
            assumptions=assumptions,
            auxiliary=auxiliary,
        )

    def _of_events(self, shape: tuple[int, int, int]) -> bool:
        preset = self.terms.preset
        return isinstance(self.inputs.data, EventDataset) or shape[0] == 2 or (preset is not None and preset.of_events)

    def _image_shape(self, attack: Attack[Any]) -> tuple[int, int, int]:
        """The shape (C, H, W) of an input as a picture: its own, stated, that of the data or evaluator, or one row."""
        inputs, judge = self.inputs.subject.input_shape, self.judge
        stated, data = self.terms.image_shape, self.inputs.data
        if len(inputs) == 3:
            shape: Sequence[int] = inputs
        elif stated is not None:
            shape = (1, *stated)
        elif data is not None:
            shape = data.input_shape
        else:
            shape = judge.shape if judge is not None else (1, *_square(inputs[0]))
        if np.prod(shape) != np.prod(inputs):
            raise InputError(f"images of shape {tuple(shape)} do not match the inputs {inputs} of the network")
        if judge is not None and judge.shape != tuple(shape):
            raise InputError(f"evaluator: expected images of shape {judge.shape}, found {tuple(shape)}")
        classes = self.inputs.subject.classes if data is None else data.classes
        if judge is not None and judge.classes != classes:
            raise InputError(f"evaluator: expected an evaluator with {classes} classes, found one with {judge.classes}")
        return shape[0], shape[1], shape[2]

    def _verdicts(self, inversions: Inversions, shape: tuple[int, int, int]) -> tuple[EvaluatorVerdict, ...] | None:
        """The evaluator's judgement of the inversions; for event data it sees their spikes."""
        if self.judge is None:
            return None
        spikes = inversions.spikes
        events = isinstance(self.inputs.data, EventDataset)
        shown = spikes.reshape(*spikes.shape[:2], *shape).numpy() if events else pictures_of(inversions, shape)
        table = self.judge.probabilities(shown)
        return tuple(EvaluatorVerdict(int(row.argmax()), float(row[label])) for row, label in zip(table, self.classes))


def _kept(attack: Callable[[], Inversions]) -> tuple[Inversions, BlNeuroError | None]:
    """The inversions, and the error that stopped the attack, if any, after its first queries."""
    try:
        return attack(), None
    except BlNeuroError as error:
        if error.inversions is None or not error.inversions.queries:
            raise
        return error.inversions, error


def _square(features: int) -> tuple[int, int]:
    side = int(features**0.5)
    return (side, side) if side * side == features else (1, features)
