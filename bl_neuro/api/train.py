"""Trains a target network, evaluators on data that the target never saw, and an ANN twin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bl_neuro.api.progress import ProgressBars, progress_bars
from bl_neuro.backends import missing_reason, open_target
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.data import Samples, Split, load_dataset
from bl_neuro.data.split import automatic_split, split_by_kind
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.provenance import now, versions
from bl_neuro.experiment.threads import one_thread
from bl_neuro.files import expanded, need_folder, need_free, write_text
from bl_neuro.model_file import load, save
from bl_neuro.network import Network
from bl_neuro.training import (
    Checkpoint,
    ConvSpec,
    TargetPlan,
    measure_accuracy,
    plan_for,
    train_ann_twin,
    train_evaluator,
    train_slayer_target,
    train_target,
)
from bl_neuro.training.checkpoint import ASIDE
from bl_neuro.training.plans import NEURONS
from bl_neuro.training.registry import EVALUATORS

SPLITS = ("auto", "three-way", "official", "shared")
TARGET_SHARE = 5 / 8
"""The target's fraction of an official training set; the evaluators use the rest."""
TARGET, TWIN, FACTS = "target.safetensors", "twin.safetensors", "training.json"
UNFINISHED = "unfinished"
"""Folder of checkpoints inside the output folder, until everything is trained."""


@dataclass(frozen=True)
class TrainedEvaluator:
    """An evaluator and its accuracy on the test set. file: path of the saved evaluator."""

    name: str
    architecture: str
    spiking: bool
    accuracy: float
    file: str


@dataclass(frozen=True)
class TrainedTwin:
    """The ANN twin of the target and its accuracy on the test set. file: path of the saved twin."""

    architecture: str
    accuracy: float
    file: str


@dataclass(frozen=True)
class Trained:
    """The trained networks and their accuracy on held-out data.

    split: how the data was divided. splits: number of samples in each part. plan: all training settings of the target.
    through: "canonical", or "slayer" for training in Loihi's integers. target_accuracy: measured on the substrate
    `measured_on`; None if no substrate is installed.
    """

    target: str
    dataset: str
    completeness: str
    split: str
    splits: dict[str, int]
    seed: int
    steps: int
    plan: dict[str, Any]
    through: str
    fingerprint: str
    target_accuracy: float | None
    measured_on: str | None
    evaluators: list[TrainedEvaluator]
    twin: TrainedTwin | None
    created: str
    versions: dict[str, str]

    def network(self) -> Network:
        """The target, loaded from its file."""
        return load(self.target)


def train(
    dataset: str | Path,
    out: str | Path,
    *,
    root: str | Path | None = None,
    size: Sequence[int] | None = None,
    split: str = "auto",
    hidden: Sequence[int] | None = None,
    conv: Sequence[ConvSpec | str] | None = None,
    neuron: str = "canonical",
    steps: int | None = None,
    proxy_epochs: int | None = None,
    spiking_epochs: int | None = None,
    noise: float | None = None,
    slayer: bool = False,
    evaluators: Sequence[str] = ("conv",),
    twin: bool = False,
    device: str = "auto",
    seed: int = 0,
    force: bool = False,
    progress: bool = True,
) -> Trained:
    """Trains a target network, and evaluators on other samples, and saves them in the folder `out`.

    Repeat the call to continue an interrupted training. Arguments that are None have the defaults of the dataset.

    dataset: a name, an .npz file, or a folder with one subfolder of images per class. root: folder of downloaded
    datasets, BL_NEURO_DATA by default. size: height and width that images of att_faces or of a folder are scaled to.
    split: "three-way" (disjoint samples for target, evaluators and test), "official" (the test set of the dataset),
    "shared" (target and evaluators on the same samples, as in BrainLeaks) or "auto". hidden: number of neurons of each
    hidden layer. conv: convolutions before the hidden layers, such as "12c5s2". neuron: "canonical", or "authors" for
    snnTorch's Leaky with bias and reset by subtraction. steps: number of time steps of an input. noise: background
    noise in training, 0..1. slayer: train with SLAYER, in Loihi's integers. evaluators: names such as "conv" and
    "spiking". twin: also train the ANN twin. device: "auto", "cpu" or "cuda"; with slayer "auto" or "cpu". force:
    overwrite a finished training in `out`. progress: show progress bars on terminals and in notebooks.

    Raises:
        InputError: an invalid argument, or `out` contains a finished training, and force is False. DataError: the
            dataset is missing or damaged. ReportError: the folder cannot be written to.
    """
    kinds = _kinds(evaluators)
    if seed < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {seed}")
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    if slayer and device not in ("auto", "cpu"):
        raise InputError(f"device: SLAYER trains on the CPU; expected 'auto' or 'cpu' with slayer, found {device!r}")
    changes = _changes(
        steps=steps,
        proxy_epochs=proxy_epochs,
        spiking_epochs=spiking_epochs,
        noise=noise,
        hidden=None if hidden is None else tuple(hidden),
        conv=None if conv is None else tuple(ConvSpec.parse(part) if isinstance(part, str) else part for part in conv),
        neuron=neuron,
    )
    folder = expanded(out)
    need_folder(folder)
    names = [TARGET, FACTS, TWIN, *(EVALUATORS.find(kind).file_name() for kind in EVALUATORS)]
    need_free((folder / name for name in names), force or any(_checkpoints(folder / UNFINISHED)))
    with progress_bars(progress) as stages, one_thread():
        data = load_dataset(str(dataset), root, size=_pair(size), progress=stages.stage("reading the data"))
        parts = _split(data, split, seed)
        session = _Session(folder, parts, replace(plan_for(parts.target), **changes), device, seed, stages)
        network = session.target(slayer)
        accuracy, substrate = _accuracy(network, parts.test, session.plan.steps, seed)
        trained = Trained(
            target=str(folder / TARGET),
            dataset=data.name,
            completeness=data.completeness,
            split=parts.note,
            splits=parts.sizes(),
            seed=seed,
            steps=session.plan.steps,
            plan=session.plan.facts(),
            through="slayer" if slayer else "canonical",
            fingerprint=network.fingerprint,
            target_accuracy=accuracy,
            measured_on=substrate,
            evaluators=[session.evaluator(kind) for kind in kinds],
            twin=session.twin() if twin else None,
            created=now(),
            versions=versions(),
        )
    _save(folder, network, trained)
    return trained


@dataclass(frozen=True)
class _Session:
    """One training run: its folder, data and plan, and the stages that it reports."""

    folder: Path
    parts: Split[Any]
    plan: TargetPlan
    device: str
    seed: int
    stages: ProgressBars

    def target(self, slayer: bool) -> Network:
        stage, checkpoint = self.stages.stage("training the target"), self._checkpoint("target")
        if slayer:
            return train_slayer_target(
                self.parts.target, self.plan, seed=self.seed, progress=stage, checkpoint=checkpoint
            )
        return train_target(
            self.parts.target, self.plan, seed=self.seed, device=self.device, progress=stage, checkpoint=checkpoint
        )

    def evaluator(self, kind: str) -> TrainedEvaluator:
        evaluator = train_evaluator(
            self.parts.evaluator,
            kind=kind,
            steps=self.plan.steps,
            seed=self.seed + 1,
            device=self.device,
            progress=self.stages.stage(f"training the {kind} evaluator"),
            checkpoint=self._checkpoint(f"evaluator-{kind}"),
        )
        path = self.folder / EVALUATORS.find(kind).file_name()
        evaluator.save(path)
        accuracy = evaluator.accuracy(self.parts.test)
        return TrainedEvaluator(kind, evaluator.architecture, evaluator.spiking, accuracy, str(path))

    def twin(self) -> TrainedTwin:
        twin = train_ann_twin(
            self.parts.target,
            self.plan.hidden,
            seed=self.seed,
            device=self.device,
            progress=self.stages.stage("training the ANN twin"),
            checkpoint=self._checkpoint("twin"),
        )
        twin.save(self.folder / TWIN)
        return TrainedTwin(twin.architecture, twin.accuracy(self.parts.test), str(self.folder / TWIN))

    def _checkpoint(self, name: str) -> Checkpoint:
        return Checkpoint(self.folder / UNFINISHED / f"{name}.safetensors")


def _save(folder: Path, network: Network, trained: Trained) -> None:
    try:
        save(network, folder / TARGET)
        write_text(folder / FACTS, json.dumps(asdict(trained), indent=2) + "\n")
        _remove_checkpoints(folder / UNFINISHED)
    except OSError as error:
        raise ReportError(f"{folder}: expected a folder that can be written to ({error})") from error


def _remove_checkpoints(folder: Path) -> None:
    """Removes the checkpoints in the folder, and the folder if nothing else is in it."""
    for path in _checkpoints(folder):
        path.unlink()
    with suppress(OSError):  # it contains other files
        folder.rmdir()


def _checkpoints(folder: Path) -> list[Path]:
    return [path for pattern in ("*.safetensors", f"*.safetensors{ASIDE}") for path in folder.glob(pattern)]


def _split(data: Samples, split: str, seed: int) -> Split[Any]:
    """Splits the data. auto: the official test set if the dataset is complete and has one, else a new split."""
    kind: Any = split  # one of SPLITS
    if split == "auto":
        kind = "three-way" if data.completeness.startswith("subset") else automatic_split(data)
    training = len(data.labels) if data.held_out is None else int((~data.held_out).sum())
    return split_by_kind(data, kind, seed, target=max(1, round(TARGET_SHARE * training)))


def _changes(**values: Any) -> dict[str, Any]:
    """The fields of a training plan that the caller gave."""
    if values["neuron"] not in NEURONS:
        raise InputError(f"neuron: expected one of {', '.join(NEURONS)}, found {values['neuron']!r}")
    return {name: value for name, value in values.items() if value is not None}


def _kinds(evaluators: Sequence[str]) -> list[str]:
    for kind in evaluators:
        if kind not in EVALUATORS:
            raise InputError(f"evaluators: expected names among {', '.join(EVALUATORS)}, found {kind!r}")
    return list(dict.fromkeys(evaluators))


def _pair(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if len(size) != 2:
        raise InputError(f"size: expected (height, width), found {tuple(size)}")
    return int(size[0]), int(size[1])


def _accuracy(network: Network, test: Samples, steps: int, seed: int) -> tuple[float | None, str | None]:
    """Test accuracy on the first fast installed substrate that can run the network, preferring its own arithmetic."""
    backends = BACKENDS.usable().values()
    quick = [backend for backend in backends if backend.differentiable and missing_reason(backend) is None]
    for backend in sorted(quick, key=lambda backend: backend.arithmetic != network.arithmetic):
        if not backend.problems(network):
            with open_target(network, backend.name) as target:
                return measure_accuracy(target, test, steps, seed), backend.name
    return None, None
