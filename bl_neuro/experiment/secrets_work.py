"""Computes the cells of planted secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import BlackBox, scores
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import load_inversions
from bl_neuro.attacks.ann_black_box import AnnBlackBox
from bl_neuro.backends import Target
from bl_neuro.backends.registry import ANN
from bl_neuro.data.samples import Dataset
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cell_tools import Made, Tools
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.measures import ATTACK, SECRET_TARGET, TwinMeasures
from bl_neuro.experiment.secrets_cells import SecretDesign, SecretTwinDesign
from bl_neuro.experiment.secrets_measures import (
    SecretAccuracyMeasures,
    SecretGuessMeasures,
    SecretReaderMeasures,
    SecretTargetMeasures,
)
from bl_neuro.experiment.secrets_plants import Plant
from bl_neuro.experiment.secrets_reader import SecretReader, examples
from bl_neuro.leakage.secrets import guessed_secrets, secret_ranks
from bl_neuro.model_file import save
from bl_neuro.reveals import Reveals
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import AnnTwin, load_ann_twin, measure_accuracy
from bl_neuro.training.target import BATCH
from bl_neuro.training.trainers import train_twin_by_plan


def secret_makers(tools: Tools) -> dict[str, Callable[[Cell], Made]]:
    """The function that computes each kind of cell."""
    work = _SecretWork(tools)
    return {
        "secret_target": work.target,
        "secret_twin": work.twin,
        "secret_accuracy": work.accuracy,
        "secret_reader": work.reader,
        "secret_informed": work.informed,
        "secret_reading": work.reading,
    }


class _SecretWork:
    """Computes the cells, with the tools that all cells share."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    def target(self, cell: Cell) -> Made:
        """Trains a target on data with secrets."""
        design: SecretDesign = cell.what
        secrets, copies = design.drawn(self.tools.material.split.target.classes)
        network = self.tools.network(cell)
        measures = SecretTargetMeasures(
            fingerprint=network.fingerprint,
            parameters=network.parameters,
            secrets=secrets.tolist(),
            copies=None if copies is None else copies.tolist(),
        )
        return measures, lambda path: save(network, path)

    def twin(self, cell: Cell) -> Made:
        """Trains the ANN twin of a target, on the same data."""
        design: SecretTwinDesign = cell.what
        data: Dataset = self.tools.material.split.target
        planted = design.target.planted(data)
        checkpoint = self.tools.checkpoint(cell)
        twin = train_twin_by_plan(planted, design.plan, design.hidden, cell.facts["seed"], checkpoint)
        return TwinMeasures(architecture=twin.architecture), twin.save

    def accuracy(self, cell: Cell) -> Made:
        """Measures the accuracy of a target, or of its twin, on test data with its secrets."""
        trained = cell.needs[-1]
        design: SecretDesign = trained.what
        test: Dataset = self.tools.material.split.test
        planted = design.plant.planted_test(test, np.array(self.secrets(trained)))
        if cell.definition["substrate"] == ANN:
            accuracy = self.opened_twin(cell).accuracy(planted)
        else:
            steps, encoder = cell.definition["steps"], self.tools.material.encoder
            accuracy = measure_accuracy(self.opened(cell), planted, steps, 0, encoder)
        return SecretAccuracyMeasures(accuracy=accuracy, samples=len(planted.labels)), None

    def reader(self, cell: Cell) -> Made:
        """Trains a reader on samples that no target saw, and measures it on others."""
        split, plant = self.tools.material.split, cell.what
        reader = SecretReader.trained(plant, split.evaluator, cell.definition["images"])
        accuracy = [reader.accuracy(plant, split.test, label) for label in range(split.test.classes)]
        learned = sum(len(readers.images) for readers in reader.readers)
        return SecretReaderMeasures(accuracy=accuracy, images=learned), reader.save

    def informed(self, cell: Cell) -> Made:
        """Asks a target about every possible secret of every class, with public images, and guesses."""
        made, public, plant = cell.definition, self.tools.material.split.evaluator, cell.what
        classes, images, encoder = made["classes"], made["images"], self.tools.material.encoder
        budget = informed_budget(plant, public, classes, images)
        box: BlackBox
        if made["substrate"] == ANN:
            box = AnnBlackBox(self.opened_twin(cell), made["reveals"], budget)
        else:
            box = BlackBox(self.opened(cell), made["reveals"], budget)
        table = asked_secrets(box, plant, public, classes, images, made["steps"], made["seed"], encoder)
        return self.guessed(cell.needs[-1], classes, table, made["seed"], box.spent), None

    def reading(self, cell: Cell) -> Made:
        """Reads the secrets from the inversions of an attack."""
        attack, trained, target = cell.needs
        reader = SecretReader.load(self.tools.file(trained))
        images = attack.what.images(load_inversions(self.tools.file(attack)))
        shown = np.asarray(images.reshape(-1, 1, *self.tools.material.shape).double())
        classes = attack.definition["classes"]
        table = np.concatenate([reader.scores(label, image) for label, image in zip(classes, shown)])
        queries = ATTACK.typed(self.tools.measured(attack)).queries
        return self.guessed(target, classes, table, attack.definition["seed"], queries), None

    def guessed(self, target: Cell, classes: list[int], table: FloatArray, seed: int, queries: int) -> CellMeasures:
        """Compares guesses with the secrets of `target`. table: the score of every choice, (classes, choices)."""
        secrets = np.array(self.secrets(target))[classes]
        guesses = guessed_secrets(table, stream(derived_seed(seed, "secret guesses"), "ties"))
        return SecretGuessMeasures(
            classes=classes,
            guesses=guesses.tolist(),
            hits=(guesses == secrets).astype(int).tolist(),
            ranks=secret_ranks(table, secrets).tolist(),
            choices=table.shape[1],
            queries=queries,
        )

    def secrets(self, target: Cell) -> list[int]:
        """The secrets of a finished target, which no attack gets."""
        return SECRET_TARGET.typed(self.tools.measured(target)).secrets

    def opened(self, cell: Cell) -> Target:
        """The target of a cell, on its substrate."""
        return self.tools.opened(cell, cell.definition["target"], cell.definition["substrate"])

    def opened_twin(self, cell: Cell) -> AnnTwin:
        """The ANN twin that a cell needs first."""
        return load_ann_twin(self.tools.file(cell.needs[0]))


def informed_budget(plant: Plant, public: Dataset, classes: list[int], images: int) -> int:
    """Number of queries of an informed attacker, for all classes together."""
    asked = classes[:1] if plant.shared else classes
    return sum(len(_questions(plant, public, label, images, 0)[1]) for label in asked)


def asked_secrets(
    box: BlackBox,
    plant: Plant,
    public: Dataset,
    classes: list[int],
    images: int,
    steps: int,
    seed: int,
    encoder: str | None = None,
) -> FloatArray:
    """The score of every possible secret of every class, (classes, choices), from the answers of `box`.

    An informed attacker does not invert: it shows the target public images of a class under every possible secret. The
    score of a secret is the mean evidence for the class less that for the best other class. Where images show the same
    for all classes, they are asked about once.

    public: samples that the target never saw. images: number of images per class and choice, or all if there are fewer.
    """
    rng = stream(seed, "informed attacker encoding")
    table, evidence, secrets = [], np.empty(0), np.empty(0)
    for place, label in enumerate(classes):
        if place == 0 or not plant.shared:
            shown, secrets = _questions(plant, public, label, images, seed)
            asked = Dataset(public.name, public.source, shown, np.zeros(len(shown), int), public.class_names)
            answers = []
            for start in range(0, len(shown), BATCH):
                part = np.arange(start, min(start + BATCH, len(shown)))
                inputs = asked.spikes(part, steps, rng, encoder).reshape(steps, len(part), *box.input_shape)
                answers.append(class_evidence(box.query(inputs), box.reveals, box.classes))
            evidence = np.concatenate(answers)
        own = evidence[:, label] - np.delete(evidence, label, axis=1).max(axis=1)
        table.append([own[secrets == secret].mean() for secret in range(plant.choices(public.classes))])
    return np.array(table)


def class_evidence(answer: Tensor, reveals: Reveals, classes: int) -> FloatArray:
    """The evidence of answers for every class, (B, classes): scores, counts, or 1 for the class of a label."""
    if reveals == "label":
        return np.asarray(np.eye(classes)[answer.numpy()])
    values: dict[str, Callable[[], Any]] = {
        "membrane": lambda: scores(answer),
        "spikes": lambda: answer.sum(0),
    }
    return np.asarray(torch.as_tensor(values.get(reveals, lambda: answer)()).double())


def _questions(plant: Plant, public: Dataset, label: int, images: int, seed: int) -> tuple[FloatArray, Any]:
    """Images of a class under every secret, and the secrets. A fixed pattern is asked about `images` times."""
    shown, secrets = examples(plant, public, label, images, stream(seed, "informed attacker images", label))
    times = 1 if plant.per_image else images
    return np.repeat(shown, times, axis=0), np.repeat(secrets, times)
