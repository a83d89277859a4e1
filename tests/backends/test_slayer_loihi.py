"""SLAYER with networks in Loihi's arithmetic: it runs them exactly or declines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.backends import find_backend
from bl_neuro.deploy.quantize import quantize
from bl_neuro.testing.fixed_point import simulate_fixed_point

NEURON = bl.CubaLIF(threshold=200, current_decay=1024 / 4096, voltage_decay=128 / 4096, bias=[3, 0, -5, 40])
RNG = np.random.default_rng(7)
WEIGHT = 2 * RNG.integers(-60, 60, (4, 6))


def stated(*layers: Any, shape: tuple[int, ...] = (6,)) -> bl.Network:
    return bl.Network(shape, layers, arithmetic="loihi")


def dense(weight: Any = WEIGHT, neuron: bl.CubaLIF = NEURON, **options: Any) -> bl.Dense:
    return bl.Dense(weight, neuron, **options)


@pytest.mark.slayer
@pytest.mark.parametrize("start", ["aligned", "cold"])
def test_spikes_are_those_of_the_integers(start: Any, needs: Callable[[str], None]) -> None:
    needs("slayer")
    network = stated(dense(), bl.Dense([[100, -50, 60, 90]] * 3, bl.CubaLIF(500, 0.5, 0.25)))
    spikes = (RNG.random((40, 5, 6)) < 0.4).astype(np.uint8)
    with bl.open_target(network, "slayer") as target:
        actual = target.run(spikes, layers=True, start=start)
    expected = simulate_fixed_point(quantize(network), spikes, start)
    assert actual.layers is not None
    for own, theirs in zip(actual.layers, expected.layer_spikes):
        assert own.any()
        assert np.array_equal(own.numpy(), theirs)


@pytest.mark.slayer
@pytest.mark.parametrize("shape", [(6,), (1, 2, 3)])
def test_input_neurons_take_a_drive_cut_to_whole_numbers(shape: Any, needs: Callable[[str], None]) -> None:
    needs("slayer")
    weight = RNG.integers(-40, 300, shape)
    neuron = bl.CubaLIF(threshold=300, current_decay=2048 / 4096, voltage_decay=100 / 4096)
    last = bl.CubaLIF(threshold=10, current_decay=1, voltage_decay=1)
    layers = [bl.Input(weight, neuron, bias=-3), bl.Flatten(), dense(2 * np.eye(6), last)]
    network = stated(*layers, shape=shape)
    x = RNG.normal(0.3, 1, (30, 4, *shape))
    expected = _driven(np.trunc(weight * x - 3).astype(np.int64), 300, 2048, 3996)
    for start in ("aligned", "cold"):  # input neurons have no synapse to wait for
        with bl.open_target(network, "slayer") as target:
            actual = target.run(x, layers=True, start=start)
        assert actual.layers is not None
        assert expected.any()
        assert np.array_equal(actual.layers[0].numpy(), expected)


def _driven(drive: Any, threshold: int, keep_current: int, keep_voltage: int) -> Any:
    current, voltage = np.zeros_like(drive[0]), np.zeros_like(drive[0])
    fired = np.zeros(drive.shape, bool)
    for step, total in enumerate(drive):
        current = np.sign(current) * (np.abs(current) * keep_current >> 12) + (total << 6)
        voltage = np.sign(voltage) * (np.abs(voltage) * keep_voltage >> 12) + current
        fired[step] = voltage > threshold << 6
        voltage = np.where(fired[step], 0, voltage)
    return fired


@pytest.mark.slayer
@pytest.mark.parametrize("surrogate", ["canonical", "native"])
def test_input_neurons_pass_a_gradient(surrogate: str, needs: Callable[[str], None]) -> None:
    needs("slayer")
    network = stated(bl.Input(100, bl.CubaLIF(150, 1, 0.125)), dense(100 * np.ones((4, 6)), bl.CubaLIF(90, 1, 0.5)))
    x = torch.full((8, 2, 6), 0.7, requires_grad=True)
    with bl.open_target(network, "slayer", surrogate=surrogate) as target:
        (gradient,) = torch.autograd.grad(target.run(x).spikes.sum(), x)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


DECLINED = {
    "an odd weight": (dense(WEIGHT + 1), "layer 0: weight: expected even values in -256..254"),
    "a large weight": (dense(np.full((4, 6), 256)), "layer 0: weight: expected even values"),
    "an encoding that loses values": (dense([[-128, -128]] * 4), "layer 0: weight: Loihi's encoding"),
    "a threshold of zero": (dense(neuron=bl.CubaLIF(0, 1, 0.5)), "layer 0: threshold: .* found 0"),
    "a threshold in float32's way": (dense(neuron=bl.CubaLIF(4096, 1, 0.5)), "threshold: .* found 4096"),
    "delays": (dense(delay=3), "layer 0: delay: SLAYER's blocks do not support it"),
    "recurrent synapses": (
        dense(recurrent=2 * np.ones((4, 4))),
        "layer 0: recurrent: SLAYER's blocks do not support it",
    ),
}


@pytest.mark.parametrize("what", DECLINED)
def test_declines(what: str) -> None:
    layer, message = DECLINED[what]
    network = stated(layer, shape=(layer.weight.shape[1],))
    with pytest.raises(bl.Unsupported, match=message):
        bl.open_target(network, "slayer")


def test_all_reasons_are_given_at_once() -> None:
    network = stated(dense(WEIGHT + 1, bl.CubaLIF(0, 1, 0.5), delay=1), bl.Dense([[3] * 4], bl.CubaLIF(5000, 1, 0.5)))
    assert len(find_backend("slayer").problems(network)) == 5


@pytest.mark.parametrize("name", ["snntorch", "norse", "slayer"])
def test_an_exported_model_is_a_white_box(name: str, needs: Callable[[str], None]) -> None:
    """v1 runs on what is deployed, or on its twin with the rounded parameters."""
    needs(name)
    network = stated(dense(), bl.Dense([[100, -50, 60, 90], [-90, 90, 20, 10]], bl.CubaLIF(300, 0.5, 0.25)))
    with bl.open_target(network, name) as target:
        inversions = bl.attacks.BrainLeaksV1()(bl.WhiteBox(target), classes=[0, 1], steps=10, seed=0)
        assert inversions.spikes.shape == (10, 2, 6)
        box = bl.WhiteBox(target)
        spikes = torch.ones(10, 2, 6, dtype=torch.float64)
        _, gradient = box.gradient(spikes, lambda response: response.spikes.sum((0, 2)))
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
