"""Training a target: accurate, repeatable, of the shape its plan says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import CubaLIF, DataError, Dense, Flatten, InputError, Network
from bl_neuro.data import Dataset, Split
from bl_neuro.data.digits import Digits
from bl_neuro.reference import simulate
from bl_neuro.testing.attack_assertions import global_chance
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import Checkpoint, ConvSpec, TargetPlan, measure_accuracy, train_target
from bl_neuro.training import target as accuracy
from bl_neuro.training.plans import NeuronKind

HAS_GPU = torch.cuda.is_available()


def test_learns_the_digits(split: Split) -> None:
    plan = TargetPlan(hidden=(48,), steps=10, proxy_epochs=30, spiking_epochs=3)
    network = train_target(split.target, plan)
    accuracy = measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0)
    assert accuracy > 0.9
    assert network.input_shape == (1, 8, 8)
    assert network.shapes == ((64,), (48,), (10,))


@pytest.mark.slow
def test_both_phases_teach(split: Split) -> None:
    plan = TargetPlan(hidden=(32,), steps=8, proxy_epochs=0, spiking_epochs=0)

    def accuracy(**epochs: Any) -> float:
        network = train_target(split.target, dataclasses.replace(plan, **epochs))
        return measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0)

    assert accuracy() < 0.15
    assert accuracy(proxy_epochs=10) > 0.7
    assert accuracy(spiking_epochs=10) > 0.3


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
def test_layers_are_as_planned(few: Split, hidden: tuple[int, ...]) -> None:
    plan = TargetPlan(hidden=hidden, steps=3, proxy_epochs=1, spiking_epochs=1, voltage_decay=0.4)
    network = train_target(few.target, plan)
    assert isinstance(network.layers[0], Flatten)
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    assert [layer.weight.shape for layer in dense] == list(zip((*hidden, 10), (64, *hidden)))
    assert all(
        layer.neuron.parameters() == {"threshold": 1, "current_decay": 1, "voltage_decay": 0.4, "bias": 0}
        for layer in dense
    )


def test_comes_from_its_seed_alone(few: Split, tiny: TargetPlan) -> None:
    states = global_chance()
    first = train_target(few.target, tiny, seed=3)
    np.random.default_rng().random()
    assert train_target(few.target, tiny, seed=3) == first
    assert train_target(few.target, tiny, seed=4) != first
    assert global_chance() == states


def test_reports_progress(few: Split, tiny: TargetPlan) -> None:
    calls: list[tuple[int, int]] = []
    train_target(few.target, tiny, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_progress_and_validation_do_not_change_what_is_drawn(few: Split, tiny: TargetPlan) -> None:
    assert train_target(few.target, tiny, progress=lambda *_: None) == train_target(few.target, tiny)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["canonical", "authors"])
def test_convolutions_learn_with_either_neuron(neuron: NeuronKind, split: Split) -> None:
    conv = (ConvSpec(8, 3), ConvSpec(16, 3, 2))
    plan = TargetPlan(hidden=(), conv=conv, neuron=neuron, steps=10, proxy_epochs=30, spiking_epochs=1, batch=32)
    network = train_target(split.target, plan)
    assert network.shapes == ((8, 6, 6), (16, 2, 2), (64,), (10,))
    assert measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0) > 0.8


@pytest.mark.slow
def test_the_result_is_the_best_on_the_validation_part(split: Split) -> None:
    # A rate so high that it does harm: without validation the second phase ruins what the first has learned.
    plan = TargetPlan(hidden=(24,), steps=8, proxy_epochs=20, spiking_epochs=2, spiking_rate=0.9, noise=0.0)

    def accuracy(**changes: float) -> float:
        network = train_target(split.target, dataclasses.replace(plan, **changes))  # type: ignore[arg-type]
        return measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0)

    assert accuracy() < 0.5
    assert accuracy(validation=0.2) > 0.7


def test_refuses_a_validation_part_that_is_too_small(few: Split, tiny: TargetPlan) -> None:
    with pytest.raises(DataError, match="use validation=0"):
        train_target(few.target, dataclasses.replace(tiny, validation=0.1))


def test_untrained_targets_fire(few: Split) -> None:
    network = train_target(few.target, TargetPlan(hidden=(40,), proxy_epochs=0, spiking_epochs=0, steps=10))
    spikes = few.target.spikes(slice(20), 10, np.random.default_rng(0))
    layers = simulate(network, spikes).layer_spikes
    assert all(0.005 < layer.mean() < 0.2 for layer in layers)


def test_a_plan_of_its_own_is_found_for_the_data(few: Split, monkeypatch: pytest.MonkeyPatch, tiny: TargetPlan) -> None:
    monkeypatch.setattr(Digits, "target_plan", vars(tiny))
    assert train_target(few.target) == train_target(few.target, tiny)


def test_resumes_from_its_checkpoint(few: Split, tiny: TargetPlan, tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    network = train_target(few.target, tiny, checkpoint=place)
    assert train_target(few.target, tiny, checkpoint=place) == network == train_target(few.target, tiny)
    with pytest.raises(InputError, match="another training: seed"):
        train_target(few.target, tiny, seed=1, checkpoint=place)
    with pytest.raises(InputError, match="another training: data"):
        train_target(few.test, tiny, checkpoint=place)
    with pytest.raises(InputError, match="another training: noise"):
        train_target(few.target, dataclasses.replace(tiny, noise=0.25), checkpoint=place)


@pytest.mark.parametrize("device", ["tpu", "", pytest.param("cuda", marks=pytest.mark.skipif(HAS_GPU, reason="a GPU"))])
def test_refuses_devices_that_are_not_here(device: str, few: Split, tiny: TargetPlan) -> None:
    with pytest.raises(InputError, match="device"):
        train_target(few.target, tiny, device=device)


@pytest.mark.skipif(not HAS_GPU, reason="torch sees no GPU")
def test_learns_on_a_gpu(split: Split) -> None:
    plan = TargetPlan(hidden=(48,), steps=10, proxy_epochs=30, spiking_epochs=3, validation=0.1)
    network = train_target(split.target, plan, device="cuda")
    assert measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0) > 0.9


def test_refuses_layers_that_no_network_could_hold(few: Split) -> None:
    with pytest.raises(InputError, match="hidden: at most"):
        train_target(few.target, TargetPlan(hidden=(10**6, 10**6)))


def test_accuracy_is_the_fraction_of_right_answers() -> None:
    # Class c answers to its own pixel; of four images one is labelled wrongly, and a black one is answered by silence.
    network = Network((1, 1, 3), [Flatten(), Dense(np.eye(3) * 2, CubaLIF(voltage_decay=1.0))])
    images = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=np.float64).reshape(5, 1, 1, 3)
    data = Dataset("pixels", "made up", images, np.array([0, 1, 2, 2, 0]), ("a", "b", "c"))
    with ReferenceTarget(network) as target:
        assert measure_accuracy(target, data, steps=3, seed=0) == 0.6
        assert target.samples == 5


def test_accuracy_is_measured_in_batches_and_with_any_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "BATCH", 2)
    network = Network((1, 1, 2), [Flatten(), Dense(np.eye(2) * 2, CubaLIF(voltage_decay=1.0))])
    data = Dataset(
        "pixels", "made up", np.eye(2)[[0, 1, 1, 0, 1]].reshape(5, 1, 1, 2), np.array([0, 1, 1, 0, 0]), ("a", "b")
    )
    with ReferenceTarget(network) as target:
        assert measure_accuracy(target, data, steps=2, seed=0, encoder="held") == 0.8
        assert target.samples == 5
