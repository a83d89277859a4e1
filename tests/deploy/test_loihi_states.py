"""Inputs that drive states beyond 24 bits are recognised."""

from __future__ import annotations

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.loihi_states import leaves_24_bits
from bl_neuro.deploy.quantize import FixedPointLayer, quantize


def first(layer: bl.Dense | bl.Conv | bl.Input, shape: tuple[int, ...]) -> FixedPointLayer:
    return quantize(bl.Network(shape, [layer], arithmetic="loihi")).layers[0]


def neuron(current_decay: int, voltage_decay: int, bias: int = 0, threshold: int = 2**17 - 1) -> bl.CubaLIF:
    return bl.CubaLIF(threshold, current_decay / 4096, voltage_decay / 4096, bias)


@pytest.mark.parametrize(("weight", "leaves"), [(254, True), (20, False)])
def test_leaving_24_bits_is_seen_in_dense_layers_and_convolutions(weight: int, leaves: bool) -> None:
    dense = first(bl.Dense(np.full((2, 300), weight), neuron(1024, 1024)), (300,))
    conv = first(bl.Conv(np.full((1, 3, 10, 10), weight), neuron(1024, 1024)), (3, 10, 10))
    assert leaves_24_bits(dense, np.ones((6, 1, 300), bool)) == leaves
    assert leaves_24_bits(conv, np.ones((6, 1, 3, 10, 10), bool)) == leaves
    assert not leaves_24_bits(dense, np.zeros((6, 1, 300), bool))


def test_leaving_24_bits_is_seen_in_input_neurons() -> None:
    layer = first(bl.Input([100, 100], neuron(4096, 4096), bias=1), (2,))
    assert leaves_24_bits(layer, np.full((1, 1, 2), 1311.0))
    assert not leaves_24_bits(layer, np.full((1, 1, 2), 1310.0))
