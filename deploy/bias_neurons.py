"""Biases of synaptic currents as synapses from a neuron that spikes in every step.

Loihi adds a bias to the voltage, while an Affine in front of a current-based neuron adds one to the current, which
filters it. A neuron with a bias above its threshold spikes in every step, from the first on; synapses from it, with the
biases as their weights, add exactly that to the currents. It joins the layer in front. Where there is none, a layer of
relay neurons is inserted, each of which repeats the spikes of one input within the same step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bl_neuro.errors import Unsupported
from bl_neuro.layers import SPIKING, AveragePool, Dense, Layer, Shape, SumPool
from bl_neuro.network import MAX_VALUES, Network
from bl_neuro.neuron import CubaLIF

DRIVE = 3.0
"""Bias of a neuron that spikes in every step, and weight of a relay neuron, in thresholds, for every kind of reset."""


def with_bias_neurons(network: Network) -> Network:
    """A network with the same output spikes and without `current_bias`; the same network if it has none.

    The spikes are the same with an aligned start. With a cold one, a bias acts one step longer, and they may differ.

    Where a current has no memory (current_decay 1), its bias becomes that of the neurons. Elsewhere a neuron is added
    to the layer in front, or a layer of relay neurons; the output layer keeps its size.

    Raises:
        Unsupported: a bias cannot be moved; the message names every layer and the reason.
    """
    if all(getattr(layer, "current_bias", None) is None for layer in network.layers):
        return network
    layers: list[Layer] = []
    problems: list[str] = []
    input_shapes = (network.input_shape, *network.shapes)
    for index, (layer, shape) in enumerate(zip(network.layers, input_shapes)):
        if getattr(layer, "current_bias", None) is not None:
            layer = _without_memory(layer, network.shapes[index])
        if getattr(layer, "current_bias", None) is not None:
            problem = _problem(layer, network.layers[:index], shape)
            problems += [f"layer {index}: current_bias: {problem}"] if problem else []
            if not problem and isinstance(layer, Dense):
                layer = _moved(layer, layers, shape)
        layers.append(layer)
    if problems:
        raise Unsupported("; ".join(problems))
    return Network(network.input_shape, layers, network.readout, network.arithmetic)


def _without_memory(layer: Any, shape: Shape) -> Any:
    """The layer with its bias on the voltage, if no current has a memory."""
    neuron = layer.neuron
    if (neuron.current_decay < 1).any():
        return layer
    added = layer.current_bias.reshape(-1, *[1] * (len(shape) - 1))
    bias = np.broadcast_to(neuron.expanded("bias", shape) + added, shape)
    moved = CubaLIF(neuron.threshold, neuron.current_decay, neuron.voltage_decay, bias, neuron.reset)
    return replace(layer, neuron=moved, current_bias=None)


def _problem(layer: Layer, before: tuple[Layer, ...], shape: Shape) -> str | None:
    if not isinstance(layer, Dense):
        return "expected that of a Dense; that of a convolution, whose current has a memory, cannot become synapses"
    if any(isinstance(other, (SumPool, AveragePool)) for other in before[_last_spiking(before) + 1 :]):
        return "expected spikes as input, found pooled values, which no relay neuron can repeat"
    if layer.delay is not None:
        return "expected synapses without delays"
    if not (before and isinstance(before[-1], Dense)) and (shape[0] + 1) * shape[0] > MAX_VALUES:
        return f"expected a Dense in front: relay neurons for {shape[0]:,} inputs would need too many weights"
    return None


def _last_spiking(layers: tuple[Layer, ...]) -> int:
    return max((index for index, layer in enumerate(layers) if isinstance(layer, SPIKING)), default=-1)


def _moved(layer: Dense, before: list[Layer], shape: Shape) -> Dense:
    """The layer with its bias as a last column of weights; the last of the layers `before` has one neuron more."""
    bias: Any = layer.current_bias
    if before and isinstance(before[-1], Dense):
        before[-1] = _with_steady_neuron(before[-1])
    else:
        relay = CubaLIF(1.0, 1.0, 1.0)
        before.append(_with_steady_neuron(Dense(DRIVE * np.eye(shape[0]), relay)))
    return replace(layer, weight=np.column_stack([layer.weight, bias]), current_bias=None)


def _with_steady_neuron(layer: Dense) -> Dense:
    """The layer with one neuron more, which spikes in every step."""
    size = (layer.weight.shape[0],)
    neuron = layer.neuron
    threshold = float(neuron.threshold.max())
    values = {"threshold": threshold, "current_decay": 1.0, "voltage_decay": 1.0, "bias": DRIVE * threshold}
    extended = {name: np.append(neuron.expanded(name, size), value) for name, value in values.items()}
    rows = [layer.weight, np.zeros((1, layer.weight.shape[1]))]
    delay = layer.delay
    if delay is not None and delay.shape[0] > 1:
        delay = np.vstack([delay, np.zeros((1, delay.shape[1]))])
    return Dense(
        np.vstack(rows),
        CubaLIF(**extended, reset=neuron.reset),
        delay,
        None if layer.recurrent is None else np.pad(layer.recurrent, (0, 1)),
        None if layer.current_bias is None else np.append(layer.current_bias, 0.0),
    )
