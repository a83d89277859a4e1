"""From a float network to the integers Loihi holds: 8-bit weights, 12-bit decays, one threshold a layer.

A neuron does not change when its weights, bias and threshold are scaled together. So each row of weights is scaled by
`threshold_mantissa / threshold`, which makes every threshold of a layer the same integer without rounding it, and the
mantissa is the largest that keeps the weights within a signed byte of even values, [-254, 254]:

    weight  = 2 round(w / threshold * threshold_mantissa / 2)      current_decay = round(4096 du)
    bias    = round(b / threshold * threshold_mantissa)            voltage_decay = round(4096 dv)

Even values, because Loihi's mixed sign mode and SLAYER hold nothing finer; no -256, because the all-inhibitory mode
cannot hold it; mantissas up to 4095, because SLAYER decides ties in float32 above that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.deploy.loihi_weights import IntArray, survives_encoding
from bl_neuro.errors import Unsupported
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import FloatArray

WEIGHT_LIMIT = 254
THRESHOLD_LIMIT = 4095
BIAS_LIMIT = 2**15 - 1
DECAY_ONE = 4096


@dataclass(frozen=True, eq=False)
class FixedPointLayer:
    """Integers of one spiking layer, as in a .net file, and how they relate to the float network.

    weight: even, [-254, 254], shape of the float weight. current_decay, voltage_decay: 0..4096, scalar or an array
    that broadcasts over the neurons. threshold: 1..4095, one for the layer. bias: mantissas, int16, an array that
    broadcasts over the neurons, or None without bias. row_scale: (out,), integer weight = row_scale * float weight.
    """

    index: int
    source: Dense | Conv
    shape: tuple[int, ...]
    weight: IntArray
    current_decay: IntArray
    voltage_decay: IntArray
    threshold: int
    bias: IntArray | None
    row_scale: FloatArray

    @property
    def effective_weight(self) -> FloatArray:
        """The rounded weights in the units of the float network."""
        return self.weight / self.row_scale.reshape(-1, *[1] * (self.weight.ndim - 1))

    @property
    def weight_loss(self) -> float:
        """Root mean square rounding error of the weights, as a fraction of their root mean square."""
        power = float(np.sqrt((self.source.weight**2).mean()))
        return float(np.sqrt(((self.effective_weight - self.source.weight) ** 2).mean())) / power

    @property
    def decay_loss(self) -> float:
        """Largest rounding error of a decay (fraction lost per step)."""
        neuron = self.source.neuron
        pairs = ((self.current_decay, neuron.current_decay), (self.voltage_decay, neuron.voltage_decay))
        return max(float(np.abs(fixed / DECAY_ONE - given.reshape(fixed.shape)).max()) for fixed, given in pairs)


@dataclass(frozen=True, eq=False)
class FixedPointNetwork:
    """A network in Loihi's integers: what `.net` files, SLAYER and Lava are given."""

    network: Network
    layers: tuple[FixedPointLayer, ...]


def quantize(network: Network) -> FixedPointNetwork:
    """`network` in Loihi's integers.

    Raises:
        Unsupported: Loihi cannot hold it; every layer and parameter that stands in the way is named.
    """
    layers, problems = _quantized_layers(network)
    if problems:
        raise Unsupported("this network has no fixed-point form: " + "; ".join(problems))
    return FixedPointNetwork(network, tuple(layers))


def quantization_problems(network: Network) -> list[str]:
    """Everything that keeps Loihi from holding `network`."""
    return _quantized_layers(network)[1]


def _quantized_layers(network: Network) -> tuple[list[FixedPointLayer], list[str]]:
    layers: list[FixedPointLayer] = []
    problems: list[str] = []
    for index, (layer, shape) in enumerate(zip(network.layers, network.shapes)):
        if isinstance(layer, (SumPool, AveragePool)):
            problems.append(
                f"layer {index}: {type(layer).__name__}: netx has no pooling; use a Conv with a stride instead"
            )
        elif isinstance(layer, SPIKING):
            found = _layer_problems(layer, shape)
            if not found:
                fixed = _quantized_layer(index, layer, shape)
                found = _range_problems(fixed)
                layers.append(fixed)
            problems += [f"layer {index}: {problem}" for problem in found]
    return layers, problems


def _layer_problems(layer: Dense | Conv, shape: tuple[int, ...]) -> list[str]:
    problems = []
    neuron = layer.neuron
    if neuron.reset != "zero":
        problems.append(f"reset '{neuron.reset}': Loihi resets to zero only")
    if not layer.weight.any():
        problems.append("weight: every value is zero, which netx does not read")
    if isinstance(layer, Conv) and neuron.threshold.shape == shape and np.unique(neuron.threshold).size > 1:
        problems.append("threshold: one value a channel at most; Loihi has one threshold a layer")
    return problems


def _quantized_layer(index: int, layer: Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    neuron = layer.neuron
    rows = layer.weight.shape[0]
    threshold = neuron.expanded("threshold", shape).reshape(rows, -1)[:, 0]
    relative = layer.weight / threshold.reshape(-1, *[1] * (layer.weight.ndim - 1))
    mantissa = min(int(WEIGHT_LIMIT / np.abs(relative).max()), THRESHOLD_LIMIT)
    weight = (2 * np.round(relative * mantissa / 2)).astype(np.int64)
    bias = None
    if np.any(neuron.bias):
        scale = mantissa / neuron.expanded("threshold", shape)
        bias = np.round(neuron.expanded("bias", shape) * scale).astype(np.int64)
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=weight,
        current_decay=np.round(DECAY_ONE * neuron.current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * neuron.voltage_decay).astype(np.int64),
        threshold=mantissa,
        bias=bias,
        row_scale=mantissa / threshold,
    )


def _range_problems(layer: FixedPointLayer) -> list[str]:
    problems = []
    if layer.threshold < 1:
        problems.append(f"weight: up to {WEIGHT_LIMIT} times the threshold can be held; these are larger")
    elif not layer.weight.any():
        problems.append("weight: every value rounds to zero next to the threshold")
    elif isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
        problems.append("weight: Loihi's encoding of this matrix does not keep its values")
    if layer.bias is not None and np.abs(layer.bias).max() > BIAS_LIMIT:
        problems.append(f"bias: at most {BIAS_LIMIT} in Loihi's units, found {np.abs(layer.bias).max()}")
    return problems
