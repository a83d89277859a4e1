"""Weights of fewer bits: the stated number of levels around 0; nothing else in the network changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro.deploy.quantize import fixed_network
from bl_neuro.deploy.weight_bits import with_weight_bits
from bl_neuro.errors import InputError
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.testing.random_networks import random_conv, random_dense


def weights(network: Network) -> list[Any]:
    return [layer.weight for layer in network.layers if hasattr(layer, "weight")]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("made", [random_dense, random_conv])
def test_a_layer_has_as_many_levels_as_its_bits_hold(bits: int, made: Any) -> None:
    network = made(1)
    coarse = with_weight_bits(network, bits)
    levels = 2 ** (bits - 1) - 1
    for before, after in zip(weights(network), weights(coarse)):
        step = np.abs(before).max() / levels
        assert np.abs(after / step - np.round(after / step)).max() < 1e-9
        assert np.abs(after).max() <= np.abs(before).max() * (1 + 1e-12)
        assert np.abs(after - before).max() <= step / 2 + 1e-12
    assert (coarse.readout, coarse.shapes) == (network.readout, network.shapes)
    assert [getattr(layer, "neuron", None) for layer in coarse.layers] == [
        getattr(layer, "neuron", None) for layer in network.layers
    ]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_network_in_loihis_arithmetic_keeps_whole_even_weights(bits: int) -> None:
    fixed = fixed_network(random_dense(2))
    coarse = with_weight_bits(fixed, bits)
    assert coarse.arithmetic == "loihi"
    for layer in coarse.layers:
        if isinstance(layer, Dense):
            assert np.array_equal(layer.weight, 2 * np.round(layer.weight / 2))
            assert len(np.unique(layer.weight)) <= 2**bits - 1


@pytest.mark.parametrize("bits", [1, 9, 2.5, "4", True, None])
def test_other_bits_are_refused(bits: Any) -> None:
    with pytest.raises(InputError, match=r"bits: expected a whole number in 2\.\.8"):
        with_weight_bits(random_dense(0), bits)
