"""Layers that are too quiet to be meant: no input makes one of their neurons spike within `STEPS` time steps.

Equations in continuous time have no time step. Read with a wrong one, a network is valid, but silent.
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.layers import SPIKING, Conv, Dense, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import per_channel

STEPS = 100
"""Number of time steps in which a neuron whose excitatory inputs all spike in every step should spike itself."""


def silent_layers(network: Network) -> list[int]:
    """Indices of the layers of which no neuron can spike within `STEPS` steps, even if every excitatory input spikes.

    Outputs that are read from the membrane, input neurons and networks in Loihi's arithmetic are left out.
    """
    if network.arithmetic != "real":
        return []
    silent, largest = [], 1.0  # the largest value that the next layer receives from one input in a step
    for index, (layer, shape) in enumerate(zip(network.layers, network.shapes)):
        if isinstance(layer, SumPool):
            largest *= layer.size[0] * layer.size[1]
        if not isinstance(layer, SPIKING):
            continue
        is_read_from_membrane = network.readout == "membrane" and index == len(network.layers) - 1
        if isinstance(layer, (Dense, Conv)) and not is_read_from_membrane and not _can_spike(layer, shape, largest):
            silent.append(index)
        largest = 1.0
    return silent


def _can_spike(layer: Dense | Conv, shape: tuple[int, ...], largest: float) -> bool:
    """Whether a neuron spikes if each excitatory input has the value `largest` in every step, and no other acts.

    Recurrent synapses are left out: they act only after a spike.
    """
    drive: FloatArray = largest * np.maximum(layer.weight, 0.0).reshape(len(layer.weight), -1).sum(axis=1)
    if layer.current_bias is not None:
        drive = drive + layer.current_bias
    drive = drive.reshape(-1, *[1] * (len(shape) - 1))
    neuron = layer.neuron
    threshold, bias, current_decay, voltage_decay = (
        per_channel(values, shape)
        for values in (neuron.threshold, neuron.bias, neuron.current_decay, neuron.voltage_decay)
    )
    current = voltage = np.zeros(())
    for _ in range(STEPS):
        current = (1.0 - current_decay) * current + drive
        voltage = (1.0 - voltage_decay) * voltage + (current + bias)
        if (voltage > threshold).any():
            return True
    return False
