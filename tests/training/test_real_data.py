"""Accuracy on real data, as documented for each plan, in a minute or two of one core each."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, cast

import pytest

import bl_neuro as bl
from bl_neuro.data import Dataset, EventDataset, Split, load_dataset, official_split, three_way_split
from bl_neuro.training import ConvSpec, measure_accuracy, plan_for, train_evaluator, train_target
from bl_neuro.training.plans import NeuronKind

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif("BL_NEURO_DATA" not in os.environ, reason="BL_NEURO_DATA names no folder of datasets"),
]


@pytest.fixture(scope="module")
def mnist() -> Split[Dataset]:
    """A sixth of MNIST for the target, another for the evaluators, the official test images."""
    return official_split(cast(Any, load_dataset("mnist")), seed=0, target=10_000, evaluator=10_000)


@pytest.fixture(scope="module")
def nmnist(tmp_path_factory: pytest.TempPathFactory) -> Split[EventDataset]:
    return three_way_split(cast(Any, load_dataset("nmnist", cache=tmp_path_factory.mktemp("frames"))), seed=0)


@pytest.mark.snntorch
@pytest.mark.parametrize("neuron", ["canonical", "authors"])
def test_mnist_targets(neuron: NeuronKind, mnist: Split[Dataset]) -> None:
    plan = dataclasses.replace(plan_for("mnist"), neuron=neuron)
    with bl.open_target(train_target(mnist.target, plan), "snntorch", precision="float32") as target:
        assert measure_accuracy(target, mnist.test, plan.steps, seed=0) > 0.955  # 0.978 with three times the images


@pytest.mark.snntorch
def test_mnist_convolutions(mnist: Split[Dataset]) -> None:
    plan = dataclasses.replace(plan_for("mnist"), hidden=(), conv=(ConvSpec(12, 5, 2), ConvSpec(24, 5, 2)))
    with bl.open_target(train_target(mnist.target, plan), "snntorch", precision="float32") as target:
        assert measure_accuracy(target, mnist.test, plan.steps, seed=0) > 0.95


@pytest.mark.parametrize("kind", ["conv", "spiking"])
def test_mnist_evaluators(kind: str, mnist: Split[Dataset]) -> None:
    assert train_evaluator(mnist.evaluator, kind=kind, epochs=5).accuracy(mnist.test) > 0.97


@pytest.mark.snntorch
def test_nmnist_target(nmnist: Split[EventDataset]) -> None:
    plan = plan_for("nmnist")
    with bl.open_target(train_target(nmnist.target, plan), "snntorch", precision="float32") as target:
        assert measure_accuracy(target, nmnist.test, plan.steps, seed=0) > 0.85


@pytest.mark.parametrize("kind", ["conv", "spiking"])
def test_nmnist_evaluators(kind: str, nmnist: Split[EventDataset]) -> None:
    assert train_evaluator(nmnist.evaluator, kind=kind, epochs=50).accuracy(nmnist.test) > 0.85
