"""Runs one cell: computes, measures and stores its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bl_neuro import leakage
from bl_neuro.access import BlackBox, predicted_classes, response_classes
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Inversions, Trace, load_inversions
from bl_neuro.backends import Target
from bl_neuro.backends.registry import ANN
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.data.split import Split
from bl_neuro.deploy.ladder import ladder
from bl_neuro.errors import ModelFileError, NotRevealed
from bl_neuro.experiment.baseline_work import drawn_baseline, judged_baseline, shuffled_network, stored_baseline
from bl_neuro.experiment.boxes import CellView, differences, opened, opened_endpoint
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cell_tools import Made, Tools
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import EvaluatorPart
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import (
    ATTACK,
    EVALUATOR,
    AccuracyMeasures,
    AttackMeasures,
    ChangedMeasures,
    Course,
    JudgementMeasures,
    ReplayMeasures,
    RungMeasures,
    TargetMeasures,
    TrainedEvaluatorMeasures,
    TwinMeasures,
)
from bl_neuro.experiment.membership_results import membership_makers
from bl_neuro.experiment.network_training import NetworkTraining
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.experiment.secrets_work import secret_makers
from bl_neuro.experiment.store import Store, Times
from bl_neuro.experiment.verification import verified
from bl_neuro.isolation import isolated
from bl_neuro.mitigations.registry import mitigation_of
from bl_neuro.model_file import load, save
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training import (
    AnnTwin,
    Checkpoint,
    ImageEvaluator,
    load_ann_twin,
    load_evaluator,
    measure_accuracy,
    train_evaluator,
)
from bl_neuro.training.rejection import rejected, rejection_threshold
from bl_neuro.training.target import BATCH
from bl_neuro.training.trainers import train_twin_by_plan

MOST_TRACED = 33
"""Maximum number of stored trace entries, equally spaced and including the last one."""
SMALLEST_SIDE = 7
"""The smallest side of images for SSIM, in pixels."""


class Work:
    """Runs cells one after another and keeps targets and evaluators in memory between them. A context manager."""

    def __init__(self, material: Material, store: Store) -> None:
        self.material, self.store = material, store
        self._open: tuple[tuple[str, str], Target] | None = None
        self._evaluators: dict[str, ImageEvaluator] = {}
        self._restarted: list[str] = []
        self._before = 0.0  # seconds of the current cell that were spent before its turn
        self.training = NetworkTraining(material, store)

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open[1].close()

    @isolated
    def do(self, cell: Cell) -> None:
        """Computes and stores the result of `cell`, whose dependencies are done.

        Raises:
            ReportError: the result could not be stored. Any other error: the cell failed.
        """
        tools = Tools(self.material, self._opened, self._file, self._measured, self._checkpoint, self._network)
        makers: dict[str, Callable[[Cell], Made]] = {
            "target": self._target,
            "twin": self._twin,
            "evaluator": self._evaluator,
            "rung": self._rung,
            "changed": self._changed,
            "accuracy": self._accuracy,
            "service": self._service,
            "attack": self._attack,
            "judgement": self._judgement,
            "replay": self._replay,
            "verification": self._verification,
            **membership_makers(tools),
            "baseline": lambda cell: drawn_baseline(cell, self.material),
            "baseline_judgement": self._baseline_judgement,
            "shuffled_weights": self._shuffled,
            "secret_attack": self._attack,
            **secret_makers(tools),
        }
        began, self._restarted, self._before = time.perf_counter(), [], 0.0
        measures, write = makers[cell.kind](cell)
        seconds = time.perf_counter() - began + self._before
        restarted = list(self._restarted)
        times = Times(seconds=seconds, finished=now(), versions=versions(), machine=machine(), restarted=restarted)
        self.store.write(cell.definition, measures, times, write)
        self.store.checkpoint(cell.address).unlink(missing_ok=True)

    def _checkpoint(self, cell: Cell) -> Checkpoint:
        """The checkpoint of the training in `cell`, which records a restart."""
        return Checkpoint(self.store.checkpoint(cell.address), damage=self._restarted)

    def _split(self, cell: Cell) -> Split[Any]:
        """The split of the target of `cell`."""
        return self.material.split_at(cell.definition["data"]["split_seed"])

    def _target(self, cell: Cell) -> Made:
        if "endpoint" in cell.definition:
            return TargetMeasures(fingerprint=None, parameters=None), None
        network = self.material.network or self._network(cell)
        measures = TargetMeasures(fingerprint=network.fingerprint, parameters=network.parameters)
        return measures, lambda path: save(network, path)

    def _network(self, cell: Cell) -> Network:
        """The network that `cell` trains, now or ahead."""
        ahead = cell.address in self.training.ahead
        trained = self.training.network_of(cell)
        self._restarted += trained.restarted
        self._before = trained.seconds if ahead else 0.0
        return trained.network

    def _twin(self, cell: Cell) -> Made:
        plan, hidden = cell.what
        checkpoint = self._checkpoint(cell)
        twin = train_twin_by_plan(self._split(cell).target, plan, hidden, cell.facts["seed"], checkpoint)
        return TwinMeasures(architecture=twin.architecture), twin.save

    def _evaluator(self, cell: Cell) -> Made:
        part: EvaluatorPart = cell.what
        split = self._split(cell)
        evaluator = train_evaluator(
            split.target if part.data == "target" else split.evaluator,
            kind=part.kind,
            steps=cell.definition["steps"],
            seed=cell.definition["seed"],
            device="cpu",
            checkpoint=self._checkpoint(cell),
            **part.settings,
        )
        test = split.test
        measures = TrainedEvaluatorMeasures(
            architecture=evaluator.architecture,
            classes=evaluator.classes,
            spiking=evaluator.spiking,
            accuracy=evaluator.accuracy(test),
            samples=len(test.labels),
            rejects_below=rejection_threshold(evaluator, test),
        )
        return measures, evaluator.save

    def _rung(self, cell: Cell) -> Made:
        rungs = {rung.name: rung for rung in ladder(load(self._file(cell.needs[0])))}
        rung = rungs[cell.definition["rung"]]
        measures = RungMeasures(fingerprint=rung.network.fingerprint, step=rung.step)
        return measures, lambda path: save(rung.network, path)

    def _changed(self, cell: Cell) -> Made:
        network = cell.what.network(load(self._file(cell.needs[0])))
        return ChangedMeasures(fingerprint=network.fingerprint), lambda path: save(network, path)

    def _accuracy(self, cell: Cell) -> Made:
        test, made = self.material.test(cell.definition["data"]["split_seed"]), cell.definition
        if "endpoint" in made:
            return self._served(cell, test), None
        if made["substrate"] == ANN:
            accuracy = self._opened_twin(cell).accuracy(test)
            return AccuracyMeasures(accuracy=accuracy, samples=len(test.labels)), None
        target = self._opened(cell, made["target"], made["substrate"])
        accuracy = measure_accuracy(target, test, made["steps"], 0, made["encoder"])
        return AccuracyMeasures(accuracy=accuracy, samples=len(test.labels)), None

    def _served(self, cell: Cell, test: Samples) -> AccuracyMeasures:
        """Accuracy of an endpoint on the stated number of samples."""
        made = cell.definition
        order = stream(made["seed"], "tested samples").permutation(len(test.labels))
        some: Any = test.subset(np.sort(order[: made["samples"]]))
        with opened_endpoint(self.material, made["substrate"], None, session=cell.address) as box:
            accuracy = served_accuracy(box, some, made["steps"], made["seed"], made["encoder"])
        return AccuracyMeasures(accuracy=accuracy, samples=len(some.labels))

    def _service(self, cell: Cell) -> Made:
        test, made = self.material.test(cell.definition["data"]["split_seed"]), cell.definition
        target = self._opened(cell, made["target"], made["substrate"])
        box = BlackBox(target, made["reveals"], None, mitigation_of(made["mitigation"]), made["seed"])
        accuracy = served_accuracy(box, test, made["steps"], made["seed"], made["encoder"])
        return AccuracyMeasures(accuracy=accuracy, samples=len(test.labels)), None

    def _attack(self, cell: Cell) -> Made:
        made, attack = cell.definition, cell.what
        ann = self._opened_twin(cell) if made["substrate"] == ANN else None
        absent = ann is not None or "endpoint" in made
        target = None if absent else self._opened(cell, made["target"], made["substrate"])
        inversions, assumptions, digest = self._inverted(cell, target, ann)
        images, classes = self._images(attack.images(inversions)), np.asarray(made["classes"])
        means = self.material.class_means_at(cell.definition["data"]["split_seed"])
        large = min(images.shape[2:]) >= SMALLEST_SIDE
        measures = AttackMeasures(
            access=attack.access,
            status=inversions.status,
            queries=inversions.queries,
            answers=digest,
            assumptions=assumptions,
            target_answers=self._answers(target, inversions) if ann is None else self._answers_of_twin(ann, images),
            pearson_selectivity=leakage.pearson_selectivities(images, classes, means).tolist(),
            ssim=leakage.structural_similarities(images, classes, means).tolist() if large else None,
            spike_density=leakage.spike_density(inversions.spikes.numpy()),
        )
        return measures, _thinned(inversions).save

    def _inverted(
        self, cell: Cell, target: Target | None, ann: AnnTwin | None = None
    ) -> tuple[Inversions, list[str], str | None]:
        """The inversions of the attack of `cell`, its assumptions, and the digest of all queries and answers."""
        made, attack = cell.definition, cell.what
        with ExitStack() as stack:
            view = CellView(cell, target, self.material, stack, ann)
            box = attack.open_box(view)
            inversions: Inversions = attack(box, classes=made["outputs"], steps=made["steps"], seed=made["seed"])
            digest = None if view.recorded is None else view.recorded.digest
            return inversions, list(attack.assumptions(box)), digest

    def _replay(self, cell: Cell) -> Made:
        first = cell.needs[1]
        target = self._opened(cell, first.definition["target"], cell.definition["substrate"])
        inversions, _, digest = self._inverted(first, target)
        kept = ATTACK.typed(self._measured(first))
        differs = differences(_thinned(inversions), digest, self._file(first), kept)
        return ReplayMeasures(identical=not differs, differs=differs, queries=inversions.queries), None

    def _verification(self, cell: Cell) -> Made:
        target, *attacks = cell.needs
        spikes = [self._inversions(attack).spikes for attack in attacks]
        made = cell.definition
        return verified(load(self._file(target)), made["substrates"], made["steps"], spikes), None

    def _answers(self, target: Target | None, inversions: Inversions) -> list[int | None] | None:
        """The class that the target assigns to each inversion, None if no output spikes.

        None instead of the list if the target reveals no label, or if it is an endpoint, which would charge for these
        queries. The attacker's own budget does not count them.
        """
        if target is None:
            return None
        try:
            outputs = response_classes(target.run(inversions.spikes), target.network.readout).tolist()
        except NotRevealed:
            return None
        return [None if output < 0 else self.material.class_map[output] for output in outputs]

    def _answers_of_twin(self, ann: AnnTwin, images: FloatArray) -> list[int | None]:
        """The class that an ANN twin assigns to each image."""
        with torch.no_grad():
            outputs = ann(torch.from_numpy(images).float().reshape(-1, *ann.input_shape)).argmax(1).tolist()
        return [self.material.class_map[output] for output in outputs]

    def _opened_twin(self, cell: Cell) -> AnnTwin:
        """The ANN twin that `cell` depends on first."""
        return load_ann_twin(self._file(cell.needs[0]))

    def _judgement(self, cell: Cell) -> Made:
        attack, judge = cell.needs
        kept, evaluator = self._inversions(attack), self._judge(judge)
        classes = np.asarray(attack.definition["classes"])
        by_spikes = self.material.of_events or evaluator.judges == "spikes"
        shown = self._frames(kept.spikes) if by_spikes else self._images(attack.what.images(kept))
        table = evaluator.probabilities(shown)
        tables = [evaluator.probabilities(self._images(rates)) for rates in kept.trace.rates]
        measures = JudgementMeasures(
            classes=classes.tolist(),
            hits=leakage.hits(table, classes).astype(int).tolist(),
            top3=leakage.hits(table, classes, 3).astype(int).tolist(),
            confidence=leakage.confidences(table, classes).tolist(),
            daa=leakage.differential_accuracy(table, classes),
            course=Course(
                queries=kept.trace.queries.tolist(),
                hits=[float(leakage.hits(along, classes).mean()) for along in tables],
                confidence=[leakage.confidence(along, classes) for along in tables],
            ),
            rejected=rejected(evaluator, shown, self._threshold(judge)),
        )
        return measures, None

    def _baseline_judgement(self, cell: Cell) -> Made:
        baseline, judge = cell.needs
        pictures, threshold = stored_baseline(self._file(baseline)), self._threshold(judge)
        return judged_baseline(cell, pictures, self._judge(judge), threshold, self.material.of_events), None

    def _shuffled(self, cell: Cell) -> Made:
        if self.material.network is None:
            raise self._gone(cell)
        network = shuffled_network(self.material.network, cell.facts["seed"])
        return ChangedMeasures(fingerprint=network.fingerprint), lambda path: save(network, path)

    def _threshold(self, judge: Cell) -> float | None:
        """The certainty below which an evaluator answers "none of these"."""
        kept = self.store.read(judge.address)
        return None if kept is None else EVALUATOR.typed(kept.measures).rejects_below

    def _images(self, values: torch.Tensor) -> FloatArray:
        return np.asarray(values.reshape(-1, *self.material.shape).double())

    def _frames(self, spikes: torch.Tensor) -> NDArray[Any]:
        """Spikes (T, K, C, H, W), as evaluators of events see them."""
        return np.asarray(spikes.reshape(*spikes.shape[:2], *self.material.shape))

    def _opened(self, cell: Cell, made: str, substrate: str) -> Target:
        """Opens the network at address `made`, which `cell` needs first, and keeps it open until another is needed."""
        key = (made, substrate)
        if self._open is None or self._open[0] != key:
            if self._open is not None:
                self._open[1].close()
                self._open = None
            self._open = key, opened(load(self._file(cell.needs[0])), substrate, cell.definition.get("options"))
        return self._open[1]

    def _judge(self, cell: Cell) -> ImageEvaluator:
        if cell.address not in self._evaluators:
            self._evaluators[cell.address] = load_evaluator(self._file(cell))
        return self._evaluators[cell.address]

    def _inversions(self, cell: Cell) -> Inversions:
        return load_inversions(self._file(cell))

    def _file(self, cell: Cell) -> Path:
        result = self.store.read(cell.address)
        if result is None or result.tensors is None:
            raise self._gone(cell)
        return result.tensors

    def _measured(self, cell: Cell) -> CellMeasures:
        result = self.store.read(cell.address)
        if result is None:
            raise self._gone(cell)
        return result.measures

    @staticmethod
    def _gone(cell: Cell) -> ModelFileError:
        return ModelFileError(f"{cell.label}: its result no longer exists; run the audit again")


def _thinned(inversions: Inversions) -> Inversions:
    """The inversions, with the part of their trace that is stored."""
    trace = inversions.trace
    count = len(trace.queries)
    if count <= MOST_TRACED:
        return inversions
    chosen = torch.from_numpy(np.unique(np.linspace(0, count - 1, MOST_TRACED).round().astype(np.int64)))
    return replace(inversions, trace=Trace(trace.queries[chosen], trace.objective[chosen], trace.rates[chosen]))


def served_accuracy(box: BlackBox, data: Samples, steps: int, seed: int, encoder: str | Encoder | None = None) -> float:
    """Fraction of `data` whose label can be read from the box's answers; an answer without a class is wrong.

    Inputs are as in `training.measure_accuracy`. Costs one query per sample.
    """
    rng = stream(seed, "test encoding")
    reveals = box.reveals
    right = 0
    for start in range(0, len(data.labels), BATCH):
        part = np.arange(start, min(start + BATCH, len(data.labels)))
        batch = data.spikes(part, steps, rng, encoder)
        answers = predicted_classes(box.query(batch.reshape(steps, len(part), *box.input_shape)), reveals)
        right += int((answers.numpy() == data.labels[part]).sum())
    return right / len(data.labels)
