"""What the image scripts share: networks trained once, verdicts, kept images, the files that the authors published."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.attacks import BrainLeaksV1, GradientInversion
from bl_neuro.data import load_digits, three_way_split
from bl_neuro.errors import DataError
from bl_neuro.training import TargetPlan

images = importlib.import_module("paper_images")
table = importlib.import_module("paper_table")
training = importlib.import_module("authors_training")
judge = importlib.import_module("authors_judge")
published = importlib.import_module("authors_inversions")

PLAN = TargetPlan(hidden=(40,), neuron="authors", steps=8)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = training.AuthorsTraining(epochs=30, through_time=200, rate=3e-3, batch=50)
    split = three_way_split(load_digits(), 0)
    return images.Bench(tmp_path_factory.mktemp("work"), "digits-", split, PLAN, recipe, {"epochs": 3})


@pytest.mark.snntorch
def test_a_target_is_trained_once_and_learns(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = bench.target(0)
    assert bench.target_accuracy(0) > 0.85
    monkeypatch.setattr(training.AuthorsTraining, "train", lambda *_, **__: pytest.fail("trained again"))
    assert bench.target(0).fingerprint == network.fingerprint
    assert not list(bench.work.glob("*.checkpoint"))


def test_the_authors_start_is_that_of_a_linear_layer() -> None:
    stack = training.Stack((1, 10, 10), 10, PLAN, np.random.default_rng(0))
    training.start(stack, np.random.default_rng(1))
    weights = stack.synapses[0].weight.detach()
    assert 0.09 < float(weights.abs().max()) <= 0.1
    assert float(stack.synapses[0].bias.detach().abs().max()) > 0


@pytest.mark.snntorch
def test_a_cell_holds_every_judges_verdict_and_keeps_its_images(bench: Any) -> None:
    judges = {"conv": bl.training.train_evaluator(bench.split.evaluator, epochs=1)}
    cell = table.Cell("v1", 0)
    inversions = bench.measured(BrainLeaksV1(), cell, judges)
    assert len(inversions["judges"]["conv"]["hits"]) == 10
    assert len(inversions["target_success"]) == 10
    assert set(inversions["target_success"]) <= {0, 1}
    kept, classes = bench.images(BrainLeaksV1(), cell)
    again, _ = bench.invert(BrainLeaksV1(), cell)
    np.testing.assert_array_equal(kept, images.shown(again).astype(np.float32))
    assert classes.tolist() == list(range(10))


def test_the_twins_inversion_is_judged_as_an_image(bench: Any) -> None:
    inversions, success = bench.invert(GradientInversion(iterations=3), table.Cell("ann", 0))
    assert success is None
    np.testing.assert_array_equal(images.shown(inversions), inversions.rates.double().numpy())


def test_the_authors_judge_comes_back_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = judge.AuthorsJudge()
    made.save(tmp_path / "judge.safetensors")
    spikes = np.random.default_rng(0).random((25, 3, 1, 28, 28)) < 0.3
    probabilities = made.probabilities(spikes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(judge.load(tmp_path / "judge.safetensors").probabilities(spikes), probabilities)


def test_the_authors_files_are_read_without_unpickling(tmp_path: Path) -> None:
    name = "MNIST_ANN_Inverted"
    values = np.random.default_rng(0).random((10, 1, 1, 28, 28), dtype=np.float32)
    torch.save(torch.from_numpy(values), tmp_path / name)
    np.testing.assert_array_equal(published.read_inversions(tmp_path, name)[0], values[:, 0].astype(np.float64))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    name = "MNIST_ANN_Inverted"
    if content is None:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"{name}/data/0", b"too short")
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        published.read_inversions(tmp_path, name)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the authors' MNIST_ANN_Inverted"):
        published.read_inversions(tmp_path, "MNIST_ANN_Inverted")


def test_the_substrate_is_the_authors(bench: Any) -> None:
    assert images.SUBSTRATE == "snntorch"
    assert isinstance(bench.target(0), bl.Network)
    assert bench.target(0).layers[-1].neuron.reset == "subtract_delayed"
