"""What real Lava needs beyond netx to run sigma-delta networks: activations without ReLU, and output values."""

from __future__ import annotations

import torch
from torch import Tensor

from bl_neuro.backends.output_values import output_values
from bl_neuro.layers import SPIKING
from bl_neuro.network import Network


def values_of(network: Network, messages: Tensor, steps: int) -> Tensor:
    """The output values in the last `steps` time steps, for messages (T, B, ...) since the start of the run."""
    neurons = [layer.neuron for layer in network.layers if isinstance(layer, SPIKING)]
    return output_values(neurons[-1], messages.to(torch.float64))[-steps:]
