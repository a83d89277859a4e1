"""Bounds of states on Loihi, against states under random spikes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.loihi_limits import state_bound
from bl_neuro.deploy.quantize import FixedPointLayer, quantize


def first(layer: bl.Dense | bl.Conv | bl.Input, shape: tuple[int, ...]) -> FixedPointLayer:
    return quantize(bl.Network(shape, [layer], arithmetic="loihi")).layers[0]


def neuron(current_decay: int, voltage_decay: int, bias: int = 0, threshold: int = 2**17 - 1) -> bl.CubaLIF:
    return bl.CubaLIF(threshold, current_decay / 4096, voltage_decay / 4096, bias)


def test_bounds_are_those_of_the_geometric_series() -> None:
    weight = [[10, -20, 30], [2, 2, 2]]
    bound = state_bound(first(bl.Dense(weight, neuron(1024, 2048, bias=-5)), (3,)))
    assert bound.current == 64 * 60 * 4
    assert bound.voltage == (64 * 60 * 4 + 64 * 5) * 2
    assert bound.fits
    held = state_bound(first(bl.Dense(weight, neuron(0, 4096)), (3,)), steps=10)
    assert held.current == held.voltage == 64 * 60 * 10


def test_values_without_decay_or_limit_have_no_bound() -> None:
    for layer in (bl.Dense([[2, 4, 6]], neuron(0, 4096)), bl.Input(3, neuron(4096, 4096))):
        bound = state_bound(first(layer, (3,)))
        assert math.isinf(bound.current)
        assert not bound.fits
    assert state_bound(first(bl.Dense([[2, 4]], neuron(4096, 0)), (2,))).current == 64 * 6
    assert math.isinf(state_bound(first(bl.Dense([[2, 4]], neuron(4096, 0)), (2,))).voltage)


def test_recurrent_synapses_count() -> None:
    alone = state_bound(first(bl.Dense([[2, 4]], neuron(4096, 4096)), (2,))).current
    wired = state_bound(first(bl.Dense([[2, 4]], neuron(4096, 4096), recurrent=[[10]]), (2,))).current
    assert wired > alone + 64 * 10 - 1


@pytest.mark.parametrize("density", [0.3, 1.0])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_loihi_never_goes_beyond_the_bound(kind: str, density: float) -> None:
    rng = np.random.default_rng(8)
    for _ in range(10):
        current_decay, voltage_decay = map(int, rng.integers(1, 4097, 2))
        cell = neuron(
            current_decay, voltage_decay, bias=int(rng.integers(-50, 50)), threshold=int(rng.integers(100, 2**17))
        )
        if kind == "dense":
            layer: bl.Dense | bl.Conv = bl.Dense(rng.integers(-120, 120, (4, 6)), cell)
            shape: tuple[int, ...] = (6,)
        else:
            layer, shape = bl.Conv(rng.integers(-120, 120, (3, 2, 2, 2)), cell, padding=1), (2, 4, 4)
        network = bl.Network(shape, [layer], arithmetic="loihi")
        bound = state_bound(quantize(network).layers[0], steps=30)
        with bl.open_target(network, "loihi") as target:
            for steps in (1, 7, 30):
                spikes = rng.random((steps, 8, *shape)) < density
                states = target.run_with_states(spikes).states
                assert states is not None
                assert states[0][0].abs().max() <= bound.current
                assert states[0][1].abs().max() <= bound.voltage
