"""The reader of secrets, and the queries and guesses of an informed attacker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.data import Dataset, load_dataset, three_way_split
from bl_neuro.errors import BudgetExceeded, ModelFileError
from bl_neuro.experiment.secrets_plants import Canary, Mirror, Permutation, Plant, Rotation
from bl_neuro.experiment.secrets_reader import SecretReader
from bl_neuro.experiment.secrets_work import asked_secrets, class_evidence, informed_budget
from bl_neuro.leakage.secrets import guessed_secrets
from bl_neuro.reveals import Reveals

CLASSES = 3
STEPS = 30


def patterned(count: int) -> Dataset:
    """Bright pixels of three classes: class c has its own row, of which the left half is lit."""
    pixels = np.zeros((CLASSES * count, 1, 6, 6))
    labels = np.repeat(np.arange(CLASSES), count)
    for number, label in enumerate(labels):
        pixels[number, 0, label, :3] = 1.0
    return Dataset("made up", "made up", pixels, labels, ("a", "b", "c"))


class TemplateBox(BlackBox):
    """A metered box of a classifier that compares the mean input with the planted image of each class."""

    __slots__ = ("asked", "templates")

    def __init__(self, templates: Dataset, reveals: Reveals, budget: int) -> None:
        self.templates = np.stack([templates.images[templates.labels == label][0] for label in range(CLASSES)])
        self.asked: list[int] = []
        self._set_up(reveals, budget, (1, 6, 6), CLASSES, self._own_gate())

    def _own_gate(self) -> Any:
        from bl_neuro.access import Gate
        from bl_neuro.backends.inputs import Accepted

        def ask(accepted: Accepted) -> Tensor:
            spikes = accepted.spikes
            self.asked.append(spikes.shape[1])
            overlap = torch.einsum("bchw,kchw->bk", spikes.double().mean(0), torch.from_numpy(self.templates))
            return overlap.argmax(1) if self.reveals == "label" else overlap

        return Gate(lambda spikes: Accepted(torch.as_tensor(spikes)), ask)


@pytest.mark.parametrize("reveals", ["label", "counts", "scores"])
@pytest.mark.parametrize("plant", [Rotation(), Mirror("both")])
def test_an_informed_attacker_finds_the_secrets_of_a_target_that_shows_them(plant: Plant, reveals: Reveals) -> None:
    public, secrets = patterned(4), np.array([1, 2, 3])
    images, classes = 2, [0, 1, 2]
    budget = informed_budget(plant, public, classes, images)
    assert budget == CLASSES * 4 * images
    box = TemplateBox(plant.planted(public, secrets), reveals, budget)
    table = asked_secrets(box, plant, public, classes, images, STEPS, seed=1)
    assert box.spent == sum(box.asked) == budget
    assert table.shape == (CLASSES, 4)
    if reveals != "label":  # labels tie where another image also wins
        assert guessed_secrets(table, np.random.default_rng(0)).tolist() == secrets.tolist()
    assert (table[np.arange(CLASSES), secrets] == table.max(axis=1)).all()


def test_an_informed_attacker_asks_once_where_all_classes_show_alike() -> None:
    public, secrets = patterned(4), np.array([2, 0, 1])
    assert informed_budget(Permutation(), public, [0, 1, 2], 3) == 9
    box = TemplateBox(Permutation().planted(public, secrets), "label", 9)
    table = asked_secrets(box, Permutation(), public, [0, 1, 2], 3, STEPS, seed=1)
    assert box.spent == 9
    assert table.argmax(axis=1).tolist() == secrets.tolist()


def test_an_informed_attacker_uses_all_public_images_if_there_are_fewer_and_repeats_fixed_patterns() -> None:
    assert informed_budget(Rotation(), patterned(4), [0, 2], 100) == 2 * 4 * 4
    assert informed_budget(Canary(candidates=5), patterned(4), [0, 2], 3) == 2 * 5 * 3


def test_an_informed_attacker_cannot_ask_more_than_its_budget() -> None:
    box = TemplateBox(patterned(1), "label", 23)
    with pytest.raises(BudgetExceeded, match="this query costs 8, and 7 of the budget of 23 remain"):
        asked_secrets(box, Rotation(), patterned(2), [0, 1, 2], 2, STEPS, seed=1)


def test_evidence_is_for_classes_in_every_output() -> None:
    spikes = torch.zeros(4, 1, CLASSES)
    spikes[:3, 0, 1] = 1
    assert class_evidence(torch.tensor([2, 0]), "label", CLASSES).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert class_evidence(spikes, "spikes", CLASSES).tolist() == [[0, 3, 0]]
    assert class_evidence(spikes.sum(0), "counts", CLASSES).tolist() == [[0, 3, 0]]
    membrane = class_evidence(spikes, "membrane", CLASSES)
    assert membrane.argmax() == 1
    assert membrane.sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def reader() -> tuple[SecretReader, Any]:
    """A reader of rotations of digits, and the split that it learned from."""
    digits = load_dataset("digits")
    assert isinstance(digits, Dataset)
    split = three_way_split(digits, 0)
    return SecretReader.trained(Rotation(), split.evaluator, 20), split


def test_a_reader_reads_rotations_of_images_that_it_never_saw(reader: tuple[SecretReader, Any]) -> None:
    trained, split = reader
    assert np.mean([trained.accuracy(Rotation(), split.test, label) for label in range(10)]) > 0.9
    assert trained.accuracy(Rotation(), split.test, 3) > 0.95


def test_brightness_and_contrast_do_not_change_what_is_read(reader: tuple[SecretReader, Any]) -> None:
    trained, split = reader
    images = split.test.images_at(np.arange(5))
    np.testing.assert_allclose(trained.scores(4, 0.2 + 0.3 * images), trained.scores(4, images), atol=1e-9)


def test_a_reader_survives_its_file_and_damage_is_named(reader: tuple[SecretReader, Any], tmp_path: Path) -> None:
    trained, split = reader
    trained.save(tmp_path / "reader")
    again = SecretReader.load(tmp_path / "reader")
    images = split.test.images_at(np.arange(20))
    np.testing.assert_allclose(again.scores(2, images), trained.scores(2, images), atol=1e-4)
    (tmp_path / "reader").write_bytes(b"no")
    with pytest.raises(ModelFileError, match="cannot be read as a reader of secrets"):
        SecretReader.load(tmp_path / "reader")
