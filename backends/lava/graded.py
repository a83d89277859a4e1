"""What real Lava needs beyond netx to run sigma-delta networks: activations without ReLU, and output values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bl_neuro.backends.output_values import output_values
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


def values_of(network: Network, messages: Tensor, steps: int) -> Tensor:
    """The output values in the last `steps` time steps, for messages (T, B, ...) since the start of the run."""
    neurons = [layer.neuron for layer in network.layers if isinstance(layer, SPIKING)]
    return output_values(neurons[-1], messages.to(torch.float64))[-steps:]
