"""Layers of which no neuron can spike are found, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, Network, SumPool
from bl_neuro.reference import simulate
from bl_neuro.silent_layers import STEPS, silent_layers

ONE = np.ones((3, 4))


def dense(threshold: Any = 1.0, **neuron: Any) -> Dense:
    return Dense(ONE, CubaLIF(threshold, **neuron))


@pytest.mark.parametrize(
    ("layer", "silent"),
    [
        (dense(), False),
        (dense(1e4, voltage_decay=0.0), True),
        (dense(4.0 * STEPS - 0.1, voltage_decay=0.0), False),
        (dense(4.0 * STEPS + 0.1, voltage_decay=0.0), True),
        (dense(4.0 * STEPS + 0.1, voltage_decay=0.0, bias=0.1), False),
        (dense(7.9, voltage_decay=0.5), False),
        (dense(8.1, voltage_decay=0.5), True),
        (dense(15.9, voltage_decay=0.5, current_decay=0.5), False),
        (dense(16.1, voltage_decay=0.5, current_decay=0.5), True),
        (dense([1e4, 1e4, 1.0]), False),
        (dense(1.0, bias=-9.0), True),
        (Dense(-ONE, CubaLIF()), True),
        (Dense(-ONE, CubaLIF(bias=2.0)), False),
        (Dense(np.where(ONE, [[-5.0, 2.0, -5.0, -5.0]], 0), CubaLIF(1.5)), False),
    ],
)
def test_a_layer_is_silent_if_its_strongest_input_fires_nothing(layer: Dense, silent: bool) -> None:
    network = Network((4,), [layer])
    assert silent_layers(network) == ([0] if silent else [])
    excited = (np.asarray(layer.weight) > 0).any(axis=0)
    spikes = np.broadcast_to(excited, (STEPS, 1, 4))
    assert bool(simulate(network, spikes).spikes.any()) is not silent


def test_the_first_and_later_layers_are_judged_by_themselves() -> None:
    layers = [dense(1e4), Dense(np.ones((2, 3)), CubaLIF()), Dense(np.ones((2, 2)), CubaLIF(1e4))]
    assert silent_layers(Network((4,), layers)) == [0, 2]


@pytest.mark.parametrize(("pool", "silent"), [(SumPool(2), []), (AveragePool(2), [3])])
def test_sums_of_spikes_count(pool: SumPool | AveragePool, silent: list[int]) -> None:
    conv = Conv(np.ones((2, 1, 3, 3)), CubaLIF([1.0, 9.5]), padding=1)
    last = Dense(np.ones((2, 8)), CubaLIF(20.0, voltage_decay=1.0))
    assert silent_layers(Network((1, 4, 4), [conv, pool, Flatten(), last])) == silent


def test_outputs_read_from_the_membrane_are_meant() -> None:
    assert silent_layers(Network((4,), [dense(1e4)], readout="membrane")) == []
    assert silent_layers(Network((4,), [dense(1e4), dense_after()], readout="membrane")) == [0]


def dense_after() -> Dense:
    return Dense(np.ones((2, 3)), CubaLIF(1e4))
