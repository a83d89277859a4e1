"""One attack on one network: the function behind `bl-neuro attack`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.access import Reveals
from bl_neuro.api.attack_result import INVERSIONS, AttackResult, EvaluatorVerdict, need_free, pictures_of
from bl_neuro.api.attack_target import AttackedModel, OpenedTarget, Subject, opened_subject
from bl_neuro.api.attack_terms import TWIN, AttackTerms, attack_terms
from bl_neuro.attacks import Attack, Inversions
from bl_neuro.attacks.base import Progress, checked_classes, need_two_classes
from bl_neuro.data import EventDataset, load_dataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import BlNeuroError, InputError
from bl_neuro.experiment.given_model import Recognised, recognise
from bl_neuro.experiment.material import with_input_range
from bl_neuro.training import Evaluator, load_evaluator
from bl_neuro.training.plans import plan_for

STEPS = 20
"""Time steps of an inversion where no dataset says how long an input lasts."""
BARELY_RECOGNISED = 2.0
"""Times chance below which a network is said not to know the dataset."""


def attack_network(
    model: AttackedModel,
    attack: str | Attack[Any] = "v2",
    *,
    substrate: str = "loihi",
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reveals: Reveals | None = None,
    budget: int | None = None,
    twin: str | None = None,
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
    progress: Progress | None = None,
) -> AttackResult:
    """Reconstructs an input for each class of a network, with its gradients or with queries alone.

        result = bl.attack_network("target.safetensors", "v2", budget=7040, evaluator="evaluator.safetensors")
        result.answers, result.verdicts, result.images

    Which attack: a name (see `bl_neuro.attacks.ATTACKS`), with a preset and settings on top, or an attack object.
    "attack.blur" is the setting blur of the setting attack. twin: the substrate of the attacker's copy, for an attack
    that needs one; "snntorch" by default.
    Which target: a network or its file on `substrate`, the URL of an endpoint (token in BL_NEURO_TOKEN), or a
    `BlackBox`. reveals: what a black box shows; what the network usually shows by default. budget: queries that it
    answers in all, which a named attack shares out; as many as the settings ask for by default.
    What is inverted: classes, all by default, in so many time steps; by default those of the dataset's plan, or 20.
    dataset: what the network was trained on, a name, path or object. How the network takes inputs is then recognised on
    it, as in an audit, and classes have names. root: the folder of downloaded data. input_range: for a network that
    takes currents, the two values that pixels 0 and 1 stand for; recognised with a dataset, else 0 and 1.
    evaluator: a file or an object that judges the inversions. out: a folder for `AttackResult.save`; force replaces the
    attack in it. name: what the result calls the model, its path or URL by default.

    Raises:
        InputError: an argument is wrong, or has no meaning for this attack or model. ModelFileError, DataError,
        SubstrateError, EndpointError: the model, dataset, substrate or endpoint cannot be used.
    """
    terms = attack_terms(attack, preset, settings, reveals, budget, twin)
    judge = load_evaluator(evaluator) if isinstance(evaluator, (str, Path)) else evaluator
    folder = None if out is None else Path(out)
    with opened_subject(model, reveals, budget) as subject, ExitStack() as stack:
        need_two_classes(subject.classes)
        data = load_dataset(dataset, root) if isinstance(dataset, str) else dataset
        inputs = _inputs(subject, data, steps, input_range)
        run = _Run(inputs, terms, inputs.chosen(classes), judge, name or subject.name, substrate, seed)
        if folder is not None:
            need_free(folder, force)
        return run.do(stack, folder, progress)


@dataclass(frozen=True)
class _Inputs:
    """The subject as it takes pixels in 0..1, and what is known of its inputs and classes."""

    subject: Subject
    data: Samples | None
    steps: int
    input_range: tuple[float, float] | None
    recognised: Recognised | None

    @property
    def class_map(self) -> list[int]:
        """The class that each output stands for."""
        return list(range(self.subject.classes)) if self.recognised is None else list(self.recognised.class_map)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of all classes, where they are known."""
        return None if self.data is None else tuple(self.data.class_names)

    def chosen(self, classes: Iterable[int] | None) -> list[int]:
        """The classes to invert, checked; all that an output stands for by default."""
        known = self.class_map
        if classes is None:
            return sorted(known)
        chosen = checked_classes(classes, max(known) + 1)
        missing = sorted(set(chosen) - set(known))
        if missing:
            raise InputError(f"classes: expected classes that an output stands for, {sorted(known)}, found {missing}")
        return chosen

    def assumptions(self) -> list[str]:
        """What is assumed about how the network takes inputs."""
        network = self.subject.network
        if network is None or network.input_kind != "current":
            return []
        low, high = self.input_range or (0.0, 1.0)
        currents = f"pixels 0 and 1 are the input currents {low:g} and {high:g}"
        if self.recognised is not None or self.input_range is not None:
            return [currents]
        return [f"{currents} (the file does not say; give an input range, --input-range, or a dataset)"]

    def description(self) -> str | None:
        """How the network was recognised on the dataset, in a sentence; None without a dataset."""
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
    """What is stated, and the rest recognised on `data`; the network then takes 0..1."""
    if input_range is not None and len(input_range) != 2:
        raise InputError(f"input_range: expected two values, LOW,HIGH, found {list(input_range)}")
    if subject.network is None and input_range is not None:
        raise InputError("input_range: an endpoint takes its inputs as it does; leave it out")
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
class _Run:
    """One attack, ready to run."""

    inputs: _Inputs
    terms: AttackTerms
    classes: list[int]
    judge: Evaluator | None
    name: str | None
    substrate: str
    seed: int

    def do(self, stack: ExitStack, folder: Path | None, progress: Progress | None) -> AttackResult:
        """Runs the attack, asks the target and the evaluator about what came of it, and saves it."""
        inputs, subject = self.inputs, self.inputs.subject
        attack = self.terms.fitted(subject, inputs.data, len(self.classes))
        shape = self._image_shape(attack)
        reveals = self.terms.shown(subject)
        planned = attack.planned_queries(len(self.classes))
        budget = subject.box.budget if subject.box is not None else self.terms.budget or planned
        target = OpenedTarget(
            subject,
            attack,
            stack,
            substrate=self.substrate,
            reveals=reveals,
            budget=budget,
            twin=self.terms.twin_substrate or TWIN,
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
            {
                **self._facts(attack, inversions, reveals, budget),
                "assumptions": [*attack.assumptions(box), *self.terms.size_assumption(shape), *inputs.assumptions()],
            },
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
        self, attack: Attack[Any], inversions: Inversions, reveals: Reveals, budget: int | None
    ) -> dict[str, Any]:
        """What was run, where, on what terms, and what it cost."""
        inputs, network = self.inputs, self.inputs.subject.network
        return {
            "attack": attack.name,
            "model": self.name,
            "fingerprint": None if network is None else network.fingerprint,
            "substrate": None if network is None else self.substrate,
            "reveals": reveals if self.terms.asks else "gradient",
            "budget": budget if self.terms.asks else None,
            "twin": self.terms.twin_substrate,
            "status": inversions.status.value,
            "queries": inversions.queries,
            "queries_per_class": inversions.queries_per_class,
            "steps": inputs.steps,
            "seed": inversions.seed,
            "settings": attack.settings(),
            "dataset": None if inputs.data is None else inputs.data.name,
            "input_range": None if inputs.input_range is None else list(inputs.input_range),
            "recognised": None if inputs.recognised is None else asdict(inputs.recognised),
            "recognition": inputs.description(),
        }

    def _of_events(self, shape: tuple[int, int, int]) -> bool:
        preset = self.terms.preset
        return isinstance(self.inputs.data, EventDataset) or shape[0] == 2 or (preset is not None and preset.of_events)

    def _image_shape(self, attack: Attack[Any]) -> tuple[int, int, int]:
        """An input as a picture (C, H, W): as it is, as stated, as the data or the evaluator has it, or one line."""
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
            raise InputError(f"pictures of shape {tuple(shape)} do not hold this network's inputs {inputs}")
        if judge is not None and judge.shape != tuple(shape):
            raise InputError(f"evaluator: it judges pictures of shape {judge.shape}; these are {tuple(shape)}")
        classes = self.inputs.subject.classes if data is None else data.classes
        if judge is not None and judge.classes != classes:
            raise InputError(f"evaluator: it tells {judge.classes} classes apart, and there are {classes}")
        return shape[0], shape[1], shape[2]

    def _verdicts(self, inversions: Inversions, shape: tuple[int, int, int]) -> tuple[EvaluatorVerdict, ...] | None:
        """What the evaluator makes of the inversions; it is shown their spikes where samples are events."""
        if self.judge is None:
            return None
        spikes = inversions.spikes
        events = isinstance(self.inputs.data, EventDataset)
        shown = spikes.reshape(*spikes.shape[:2], *shape).numpy() if events else pictures_of(inversions, shape)
        table = self.judge.probabilities(shown)
        return tuple(EvaluatorVerdict(int(row.argmax()), float(row[label])) for row, label in zip(table, self.classes))


def _kept(attack: Callable[[], Inversions]) -> tuple[Inversions, BlNeuroError | None]:
    """The inversions; and what ended the attack, where an error did after the first queries."""
    try:
        return attack(), None
    except BlNeuroError as error:
        if error.inversions is None or not error.inversions.queries:
            raise
        return error.inversions, error


def _square(features: int) -> tuple[int, int]:
    side = int(features**0.5)
    return (side, side) if side * side == features else (1, features)
