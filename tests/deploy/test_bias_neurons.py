"""Biases of currents as synapses from neurons that spike in every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import Conv, CubaLIF, Dense, Flatten, Network, SumPool, Unsupported
from bl_neuro.deploy.bias_neurons import with_bias_neurons
from bl_neuro.deploy.quantize import quantization_problems
from bl_neuro.layers import Layer
from bl_neuro.neuron import Reset
from bl_neuro.reference import simulate

RNG = np.random.default_rng(0)
SLOW = CubaLIF([0.8, 1.0, 1.2, 0.9, 0.7], 0.4, 0.2)


def looped(neuron: CubaLIF = SLOW) -> Dense:
    return Dense(
        RNG.normal(size=(5, 4)),
        neuron,
        recurrent=0.5 * RNG.normal(size=(5, 5)),
        current_bias=0.3 * RNG.normal(size=5),
    )


def network(*more: Layer, neuron: CubaLIF = SLOW) -> Network:
    readout = Dense(RNG.normal(size=(3, 5)), CubaLIF(1.0, 0.5, 0.4, 0.1), current_bias=[0.3, -0.1, 0.2])
    return Network((4,), [looped(neuron), *more, readout])


def spikes(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).random((30, 6, *shape)) < 0.4


@pytest.mark.parametrize("reset", ["zero", "subtract", "subtract_delayed"])
def test_the_output_is_the_same(reset: Reset) -> None:
    original = network(neuron=CubaLIF(SLOW.threshold, 0.4, 0.2, reset=reset))
    moved = with_bias_neurons(original)
    assert [str(layer) for layer in moved.layers] == ["Dense 4 -> 5", "Dense 5 -> 6, recurrent", "Dense 6 -> 3"]
    assert all(getattr(layer, "current_bias", None) is None for layer in moved.layers)
    run = simulate(moved, spikes(4))
    assert (run.spikes == simulate(original, spikes(4)).spikes).all()
    assert run.layer_spikes[0][..., -1].all()


def test_currents_without_memory_need_no_neuron() -> None:
    kernel = Conv(RNG.normal(size=(2, 1, 3, 3)), CubaLIF(bias=0.1), current_bias=[0.2, -0.2])
    original = Network((1, 5, 5), [kernel, Flatten(), Dense(np.ones((3, 18)), CubaLIF())])
    moved = with_bias_neurons(original)
    assert len(moved.layers) == 3
    assert (simulate(moved, spikes(1, 5, 5)).spikes == simulate(original, spikes(1, 5, 5)).spikes).all()
    assert with_bias_neurons(moved) is moved


def test_a_bias_behind_an_image_gets_relay_neurons() -> None:
    last = Dense(RNG.normal(size=(3, 18)), CubaLIF(1.0, 0.5), current_bias=[0.3, 0.2, -0.3])
    original = Network((1, 5, 5), [Conv(np.ones((2, 1, 3, 3)), CubaLIF(4.0)), Flatten(), last])
    moved = with_bias_neurons(original)
    assert str(moved.layers[2]) == "Dense 18 -> 19"
    assert (simulate(moved, spikes(1, 5, 5)).spikes == simulate(original, spikes(1, 5, 5)).spikes).all()


def test_relays_of_too_many_inputs_are_refused_before_they_are_made() -> None:
    layer = Dense(np.ones((1, 17_000)), CubaLIF(1, 0.5), current_bias=[1.0])
    with pytest.raises(Unsupported, match="relay neurons for 17,000 inputs would need too many weights"):
        with_bias_neurons(Network((17_000,), [layer]))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv(np.ones((1, 1, 2, 2)), CubaLIF(1, 0.5), current_bias=[1.0])], "layer 0: .* that of a convolution"),
        (
            [SumPool(2), Flatten(), Dense(np.ones((2, 4)), CubaLIF(1, 0.5), current_bias=[1, 2])],
            "layer 2: .* pooled values",
        ),
        (
            [Flatten(), Dense(np.ones((2, 16)), CubaLIF(1, 0.5), delay=2, current_bias=[1, 2])],
            "layer 1: .* without delays",
        ),
    ],
)
def test_others_are_refused(layers: list[Layer], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        with_bias_neurons(Network((1, 4, 4), layers))


def test_loihi_names_the_way_and_a_net_file_goes_it(tmp_path: Path) -> None:
    original = network()
    assert "with_bias_neurons" in quantization_problems(original)[0]
    bl.save(original, tmp_path / "n.net")
    exported = bl.load(tmp_path / "n.net")
    assert [str(layer) for layer in exported.layers] == ["Dense 4 -> 5", "Dense 5 -> 6, recurrent", "Dense 6 -> 3"]
    with bl.open_target(exported, "loihi") as target:
        same = target.run(spikes(4)).spikes.numpy() == simulate(original, spikes(4)).spikes
    assert same.mean() > 0.9
    bl.save(original, tmp_path / "n.safetensors")
    assert bl.load(tmp_path / "n.safetensors") == original
