"""Activations without ReLU, which netx does not have: they are set in real Lava after it has read the network."""

from __future__ import annotations

from typing import Any

from bl_neuro.layers import SPIKING, Conv, Dense, Layer
from bl_neuro.network import Network
from bl_neuro.sigma_delta import SigmaDelta


def with_relu(network: Network) -> Network:
    """The network with ReLU in all sigma-delta neurons, which is what a `.net` file can hold."""
    if not unit_blocks(network):
        return network
    layers = [_with_relu(layer) for layer in network.layers]
    return Network(network.input_shape, layers, network.readout, network.arithmetic)


def unit_blocks(network: Network) -> tuple[int, ...]:
    """Indices, among the layers with neurons, of those whose sigma-delta neurons have no ReLU."""
    neurons = [layer.neuron for layer in network.layers if isinstance(layer, SPIKING)]
    return tuple(index for index, neuron in enumerate(neurons) if getattr(neuron, "activation", "relu") == "unit")


def _with_relu(layer: Layer) -> Layer:
    neuron: Any = getattr(layer, "neuron", None)
    if not isinstance(neuron, SigmaDelta) or not isinstance(layer, (Dense, Conv)):
        return layer
    rectified = SigmaDelta(neuron.threshold, neuron.bias)
    if isinstance(layer, Dense):
        return Dense(layer.weight, rectified, layer.delay)
    return Conv(layer.weight, rectified, layer.stride, layer.padding, layer.dilation, layer.groups)
