"""The whole story on scikit-learn's digits: train, deploy on every substrate there is, attack, judge, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bl_neuro.attacks import Attack, BrainLeaksV1, BrainLeaksV2, Inversions
from bl_neuro.attacks.inversions import joined
from bl_neuro.audit import demo_cell as cell
from bl_neuro.audit.provenance import machine, now, versions
from bl_neuro.audit.threads import one_thread
from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.data import Dataset, Split, load_digits, three_way_split
from bl_neuro.errors import InputError, MissingDependency
from bl_neuro.files import need_folder
from bl_neuro.model_file import save
from bl_neuro.network import Network
from bl_neuro.report import InversionPictures, Pictures, Results, schema, write_report
from bl_neuro.report.schema import Control, Row
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import TargetPlan, measure_accuracy, train_evaluator, train_target

Progress = Callable[[int, int], None]
CONTROL_SUBSTRATE = ("snntorch", "norse", "slayer", "loihi")
"""Where the null control runs: the first of these that is in use."""


class Stages(Protocol):
    """Told what is going on: `stage(name)` begins a stage and returns what is called with (done, total) in it."""

    def stage(self, name: str) -> Progress:
        """Begins a stage."""
        ...


@dataclass(frozen=True)
class DemoPlan:
    """What the demo runs. restarts: inversions of each class a row. controls: targets with shuffled labels."""

    target: TargetPlan = field(default_factory=lambda: TargetPlan(steps=20))
    white_box: BrainLeaksV1 = field(default_factory=BrainLeaksV1)
    black_box: BrainLeaksV2 = field(default_factory=lambda: BrainLeaksV2(queries=640, window=3.0, contrast="mixed"))
    restarts: int = 4
    controls: int = 5


def run_demo(
    out: Path, plan: DemoPlan | None = None, *, seed: int = 0, substrates: Iterable[str] | None = None, stages: Stages
) -> Path:
    """Runs the demo and returns the path of its report.

    substrates: which to use; every one whose framework is installed where None.

    Raises:
        InputError, UnknownSubstrate, MissingDependency: a named substrate cannot be used. ReportError: `out` cannot
        be written.
    """
    if seed < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {seed}")
    plan = plan or DemoPlan()
    chosen, notes = _choose(substrates)
    need_folder(out)
    with one_thread():
        story = DemoStory(plan, seed, stages)
        rows, made = story.attack_all(chosen)
        controls, more = story.control(chosen)
        named = "" if substrates is None else f" --substrates {','.join(chosen)}"
        results = story.results(rows, controls, f"bl-neuro demo --seed {seed}{named}", notes)
    save(story.network, out / "target.safetensors")
    story.judge.evaluator.save(out / "evaluator.safetensors")
    return write_report(results, story.pictures({**made, **more}), out)


def _choose(substrates: Iterable[str] | None) -> tuple[list[str], list[str]]:
    """The substrates to use, and a note for each that is missing."""
    if substrates is not None:
        chosen = list(dict.fromkeys(substrates))
        if not chosen:
            raise InputError("substrates: expected at least one name")
        for name in chosen:
            reason = missing_reason(find_backend(name))
            if reason:
                raise MissingDependency(f"substrate '{name}': {reason}")
        return chosen, []
    reasons = {name: missing_reason(find_backend(name)) for name in available_substrates()}
    chosen = [name for name, reason in reasons.items() if reason is None]
    if not chosen:
        raise MissingDependency('no substrate is installed; install one with: pip install "bl-neuro[snntorch]"')
    return chosen, [f"Not run on {name}: {reason}." for name, reason in reasons.items() if reason]


class DemoStory:
    """One run of the demo: its data, its trained networks, and what is made of them."""

    def __init__(self, plan: DemoPlan, seed: int, stages: Stages) -> None:
        self.plan, self.seed, self.stages = plan, seed, stages
        self.split: Split[Dataset] = three_way_split(load_digits(), seed)
        steps = plan.target.steps
        self.network: Network = train_target(
            self.split.target, plan.target, seed=seed, progress=stages.stage("training the target")
        )
        evaluator = train_evaluator(
            self.split.evaluator, steps=steps, seed=seed, progress=stages.stage("training the evaluator")
        )
        self.judge = cell.Judge(evaluator, self.split.target.class_means())

    def attack_all(self, substrates: list[str]) -> tuple[list[Row], dict[str, Inversions]]:
        """Every attack on every substrate that allows it."""
        rows: list[Row] = []
        made: dict[str, Inversions] = {}
        for name in substrates:
            differentiable = find_backend(name).differentiable
            attacks: list[Attack[Any]] = [self.plan.white_box] if differentiable else []
            subject, finished = self._attack(
                self.network, name, [*attacks, self.plan.black_box], self.plan.restarts, self.seed
            )
            for attack, outcome in finished:
                key = f"{name}.{attack.name}"
                rows.append(cell.row(outcome, name, attack, subject, self.judge, key))
                made[key] = outcome.inversions
        return sorted(rows, key=lambda row: row.attack), made

    def control(self, substrates: list[str]) -> tuple[list[Control], dict[str, Inversions]]:
        """The same attacks on targets trained on shuffled labels: what they score is not leakage."""
        name = next((name for name in CONTROL_SUBSTRATE if name in substrates), substrates[0])
        differentiable = find_backend(name).differentiable
        attacks: list[Attack[Any]] = [*([self.plan.white_box] if differentiable else []), self.plan.black_box]
        per_attack: dict[str, list[tuple[Row, Inversions]]] = {attack.name: [] for attack in attacks}
        for number in range(self.plan.controls):
            seed = derived_seed(self.seed, "null control", number)
            data = _shuffled(self.split.target, seed)
            network = train_target(
                data,
                self.plan.target,
                seed=seed,
                progress=self.stages.stage(f"null control {number + 1}: training on shuffled labels"),
            )
            subject, finished = self._attack(network, name, attacks, 1, seed)
            for attack, outcome in finished:
                made = cell.row(outcome, name, attack, subject, self.judge, "control")
                per_attack[attack.name].append((made, outcome.inversions))
        controls, inversions = [], {}
        for attack_name, pairs in per_attack.items():
            key = f"control.{name}.{attack_name}"
            controls.append(cell.control([row for row, _ in pairs], "shuffled_labels", key))
            inversions[key] = joined([each for _, each in pairs])
        return controls, inversions

    def _attack(
        self, network: Network, name: str, attacks: list[Attack[Any]], restarts: int, seed: int
    ) -> tuple[cell.Subject, list[tuple[Attack[Any], cell.Finished]]]:
        """Accuracy of `network` on substrate `name`, and the outcome of each attack on it."""
        steps, test = self.plan.target.steps, self.split.test
        with open_target(network, name) as target:
            self.stages.stage(f"{name}: testing the target")
            accuracy = measure_accuracy(target, test, steps, self.seed)
            subject = cell.Subject(test.name, steps, test.classes, accuracy, len(test.labels))
            finished = []
            for attack in attacks:
                outcome = cell.attack_target(
                    target,
                    attack,
                    "counts",
                    classes=list(range(test.classes)),
                    steps=steps,
                    restarts=restarts,
                    budget=_budget(attack, test.classes),
                    seed=seed,
                    progress=self.stages.stage(f"{name}: attack {attack.name}"),
                )
                finished.append((attack, outcome))
        return subject, finished

    def results(self, rows: list[Row], controls: list[Control], command: str, notes: list[str]) -> Results:
        """Everything as it goes to results.json."""
        split, evaluator, steps = self.split, self.judge.evaluator, self.plan.target.steps
        test = split.test
        return Results(
            command=command,
            created=now(),
            seed=self.seed,
            versions=versions(),
            platform=machine(),
            dataset=schema.Dataset(name=test.name, source=test.source, classes=test.classes, splits=split.sizes()),
            network=schema.NetworkInfo(
                fingerprint=self.network.fingerprint,
                input_shape=list(self.network.input_shape),
                layers=self.network.describe(),
                parameters=self.network.parameters,
                steps=steps,
                encoder=f"rate code: in each of {steps} steps a pixel spikes with its value as probability",
                training=self._training(),
            ),
            evaluators=[
                schema.Evaluator(
                    name="conv",
                    architecture=evaluator.architecture,
                    test_accuracy=evaluator.accuracy(test),
                    test_samples=len(test.labels),
                    trained_on=f"{len(split.evaluator.labels)} samples that the target never saw",
                )
            ],
            rows=rows,
            controls=controls,
            notes=[*notes, *self._notes()],
        )

    def _training(self) -> str:
        plan = self.plan.target
        noise = f"with up to {plan.noise:.0%} of background noise added to its images, " if plan.noise else ""
        return (
            f"trained on {len(self.split.target.labels)} images {noise}{plan.proxy_epochs} epochs as an ANN of its "
            f"firing rates, then {plan.spiking_epochs} epochs through time"
        )

    def _notes(self) -> list[str]:
        notes = [
            f"The null control pools {self.plan.controls} targets, each trained like the target on its images with "
            "labels shuffled anew; what it scores is counted against the true labels. It shows what of an attack's "
            "success does not come from the labels; it is no control for what the images alone give away.",
            "v2's settings, its priors among them, were chosen on these digits, by attack accuracy on other splits of "
            "them; other data need their own.",
            "The evaluator learned from images made to look as inversions do: shifted by up to a pixel, of varied "
            "contrast and background, and sampled as a rate code is.",
        ]
        if self.plan.target.noise:
            notes.append(
                "The target was trained with background noise in its images. That makes it a little more accurate, and "
                "easier to invert: over the sixteen targets of the audits digits and digits-clean, v2 on counts got "
                "9.5 points [7.2, 11.9] more of it on loihi, and v1 3.9 [1.8, 6.0]."
            )
        return notes

    def pictures(self, made: dict[str, Inversions]) -> Pictures:
        """What the report draws."""
        shape = self.judge.class_means.shape[2:]
        return Pictures(
            class_means=self.judge.class_means[:, 0],
            class_names=list(self.split.target.class_names),
            inversions={
                key: InversionPictures(
                    rates=np.asarray(inversions.images.reshape(-1, *shape).double()),
                    classes=np.asarray(inversions.classes),
                    spikes=np.asarray(inversions.spikes),
                )
                for key, inversions in made.items()
            },
        )


def _shuffled(data: Dataset, seed: int) -> Dataset:
    return replace(data, labels=stream(seed, "shuffled labels").permutation(data.labels))


def _budget(attack: Attack[Any], classes: int) -> int | None:
    """A budget that the plan just fits, so that it is enforced and not only counted."""
    return attack.warm_start + attack.queries * classes if isinstance(attack, BrainLeaksV2) else None
