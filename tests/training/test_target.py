"""Training a target: accurate, repeatable, of the shape its plan says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bl_neuro import CubaLIF, Dense, Flatten, InputError, Network
from bl_neuro.data import Dataset, Split
from bl_neuro.testing.attack_contract import global_chance
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import TargetPlan, measure_accuracy, train_target


def test_learns_the_digits(split: Split) -> None:
    plan = TargetPlan(hidden=(48,), steps=10, proxy_epochs=30, spiking_epochs=3)
    network = train_target(split.target, plan)
    accuracy = measure_accuracy(ReferenceTarget(network), split.test, plan.steps, seed=0)
    assert accuracy > 0.9
    assert network.input_shape == (1, 8, 8)
    assert network.shapes == ((64,), (48,), (10,))


def test_both_phases_teach(split: Split) -> None:
    plan = TargetPlan(hidden=(32,), steps=8, proxy_epochs=0, spiking_epochs=0)

    def accuracy(**epochs: int) -> float:
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


def test_tells_how_far_it_is(few: Split, tiny: TargetPlan) -> None:
    calls: list[tuple[int, int]] = []
    train_target(few.target, tiny, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"steps": 2**16 + 1},
        {"batch": 0},
        {"proxy_epochs": -1},
        {"spiking_epochs": -1},
        {"hidden": (0,)},
        {"hidden": (5, -1)},
        {"voltage_decay": 0.0},
        {"voltage_decay": 1.0},
        {"noise": -0.1},
        {"noise": 1.1},
    ],
)
def test_refuses_plans(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        TargetPlan(**changes)


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
