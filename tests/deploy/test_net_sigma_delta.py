"""Sigma-delta networks in `.net` files: read as netx reads them, written without loss, and refused where netx is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import Delta, Sigma, SigmaDelta
from bl_neuro.errors import ModelFileError, Unsupported
from bl_neuro.testing.handmade_net import Block, conv, dense, write
from bl_neuro.testing.random_sigma_delta import random_sigma_delta

SIGMA: Block = {"neuron__type": "SDNN", "neuron__vThMant": 6, "neuron__sigma_output": True}


def sdnn(block: Block, **changes: Any) -> Block:
    """A block with sigma-delta neurons instead of its own."""
    bare = {key: value for key, value in block.items() if not key.startswith("neuron")}
    group = {"neuron__type": "SDNN", "neuron__vThMant": 6, "neuron__activation": "relu"}
    return {key.replace("__", "/"): value for key, value in {**bare, **group, **changes}.items()}


def given(**changes: Any) -> Block:
    return sdnn({"type": "input", "shape": [3]}, **changes)


def read(folder: Path, *blocks: Block) -> bl.Network:
    return bl.load(write(folder / "model.net", *blocks))


def test_netx_chooses_the_neurons(tmp_path: Path) -> None:
    hidden, output = sdnn(dense(), bias=[2.9, -70000]), sdnn(dense(weight=[[1, 2]], shape=[1]), **SIGMA)
    network = read(tmp_path, given(neuron__vThMant=3), hidden, output)
    first, second, third = (layer.neuron for layer in network.layers if isinstance(layer, (bl.Input, bl.Dense)))
    assert isinstance(first, Delta)
    assert isinstance(second, SigmaDelta)
    assert isinstance(third, Sigma)
    assert [int(first.threshold), int(second.threshold), *second.bias.tolist()] == [3, 6, 2, -70000]
    assert (network.arithmetic, network.readout, network.input_kind) == ("loihi", "values", "current")
    assert isinstance(network.layers[0], bl.Input)
    assert network.layers[0].weight == 64, "lava-dl's input scale"


@pytest.mark.parametrize("seed", [*range(8)])
def test_round_trip_is_exact(tmp_path: Path, seed: int) -> None:
    network = random_sigma_delta(seed)
    bl.save(network, tmp_path / "network.net")
    assert bl.load(tmp_path / "network.net") == network


REFUSED: dict[str, tuple[list[Block], str]] = {
    "no input block": ([sdnn(dense())], "layer 0: expected Input with Delta neurons"),
    "mixed": ([given(), dense()], "layer 1: neuron: expected sigma-delta neurons"),
    "another activation": ([given(), sdnn(dense(), neuron__activation="tanh")], "netx applies ReLU whatever"),
    "bits of messages": ([given(), sdnn(dense(), neuron__messageBits=16)], "messageBits: netx fails on it"),
    "a bias of sigma_output": (
        [given(), sdnn(dense(bias=[1, 2]), **SIGMA)],
        "netx fails on a bias of neurons",
    ),
    "sigma_output of an input": ([given(**SIGMA)], "sigma_output: netx ignores it in an input block"),
    "an unknown key": ([given(), sdnn(dense(), neuron__leak=3)], "neuron: leak: unknown key"),
    "too high a threshold": ([given(neuron__vThMant=2**19), sdnn(dense())], "vThMant: expected values in 0..524287"),
    "too large a bias": ([given(), sdnn(dense(bias=[0, 2**19]))], "bias: expected values in -524287..524287"),
    "a delayed convolution": (
        [sdnn({"type": "input", "shape": [1, 4, 5]}), sdnn(conv(delay=1))],
        "delay: netx ignores it in a convolution",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_netx_would_misread_are_refused(tmp_path: Path, what: str) -> None:
    blocks, message = REFUSED[what]
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path, *blocks)


def test_an_activation_that_netx_does_not_have_is_not_written(tmp_path: Path) -> None:
    layers: list[Any] = [bl.Input(64, Delta()), bl.Dense(np.ones((1, 1)), SigmaDelta(activation="unit"))]
    with pytest.raises(Unsupported, match="layer 1: activation: expected 'relu', which netx always applies"):
        bl.save(bl.Network((1,), layers), tmp_path / "unit.net")
