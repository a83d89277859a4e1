"""From a float network to the integers Loihi holds: 8-bit weights, 12-bit decays, one threshold a layer.

A neuron does not change when its weights, bias and threshold are scaled together. So each row of weights is scaled by
`threshold_mantissa / threshold`, which makes every threshold of a layer the same integer without rounding it, and the
mantissa is the one at which weights and biases lose least (`deploy.scale`), the weights within a signed byte of even
values, [-254, 254] (a layer whose weights, threshold and bias are such integers already keeps them):

    weight  = 2 round(w / threshold * threshold_mantissa / 2)      current_decay = round(4096 du)
    bias    = round(b / threshold * threshold_mantissa)            voltage_decay = round(4096 dv)

Even values, because Loihi's mixed sign mode and SLAYER hold nothing finer; no -256, because the all-inhibitory mode
cannot hold it; mantissas up to 4095, because SLAYER decides ties in float32 above that, unless small weights lose much
by it: then SLAYER cannot hold the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.scale import (
    BIAS_LIMIT,
    THRESHOLD_LIMIT,
    WEIGHT_LIMIT,
    best_mantissa,
    largest_weight,
    relative_bias,
    relative_weight,
    row_threshold,
)
from bl_neuro.errors import Unsupported
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, Input, SumPool
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, per_channel

__all__ = [
    "THRESHOLD_LIMIT",
    "FixedPointLayer",
    "FixedPointNetwork",
    "fixed_network",
    "quantization_problems",
    "quantize",
]


@dataclass(frozen=True, eq=False)
class FixedPointLayer:
    """Integers of one spiking layer, as in a .net file, and how they relate to the float network.

    weight: even, [-254, 254], shape of the float weight. current_decay, voltage_decay: 0..4096, scalar or an array
    that broadcasts over the neurons. threshold: from 1, one for the layer. bias: mantissas, int16, an array that
    broadcasts over the neurons, or None without bias. row_scale: (out,), integer weight = row_scale * float weight.
    Of a network in Loihi's arithmetic, everything is as it states it, thresholds from 0 to 2^17 included.
    """

    index: int
    source: Input | Dense | Conv
    shape: tuple[int, ...]
    weight: IntArray
    current_decay: IntArray
    voltage_decay: IntArray
    threshold: int
    bias: IntArray | None
    row_scale: FloatArray

    @property
    def stated(self) -> Input | Dense | Conv:
        """The layer with these integers as its values."""
        if isinstance(self.source, Input):  # only a network that states them already has one
            return self.source
        bias = 0.0 if self.bias is None else self.bias
        decays = (self.current_decay / DECAY_ONE, self.voltage_decay / DECAY_ONE)
        neuron = CubaLIF(self.threshold, *decays, bias)
        source = self.source
        if isinstance(source, Conv):
            return Conv(self.weight, neuron, source.stride, source.padding, source.dilation, source.groups)
        return Dense(self.weight, neuron)

    @property
    def effective_weight(self) -> FloatArray:
        """The rounded weights in the units of the float network."""
        return self.weight / self.row_scale.reshape(-1, *[1] * (self.weight.ndim - 1))

    @property
    def weight_loss(self) -> float:
        """Root mean square rounding error of the weights, as a fraction of their root mean square."""
        power = float(np.sqrt((self.source.weight**2).mean()))
        error = float(np.sqrt(((self.effective_weight - self.source.weight) ** 2).mean()))
        return error / power if power > 0 else 0.0

    @property
    def bias_loss(self) -> float:
        """Root mean square rounding error of the biases, as a fraction of their neurons' thresholds."""
        neuron = self.source.neuron
        if self.bias is None or self.threshold == 0:
            return 0.0
        held = np.broadcast_to(per_channel(self.bias.astype(np.float64), self.shape), self.shape) / self.threshold
        given = neuron.expanded("bias", self.shape) / neuron.expanded("threshold", self.shape)
        return float(np.sqrt(((held - given) ** 2).mean()))

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

    @property
    def stated(self) -> Network:
        """The network in Loihi's arithmetic: these integers as its values."""
        if self.network.arithmetic == "loihi":
            return self.network
        by_index = {layer.index: layer.stated for layer in self.layers}
        layers = [by_index.get(index, layer) for index, layer in enumerate(self.network.layers)]
        return Network(self.network.input_shape, layers, self.network.readout, "loihi")


def quantize(network: Network) -> FixedPointNetwork:
    """`network` in Loihi's integers.

    Raises:
        Unsupported: Loihi cannot hold it; every layer and parameter that stands in the way is named.
    """
    layers, problems = _quantized_layers(network)
    if problems:
        raise Unsupported("this network has no fixed-point form: " + "; ".join(problems))
    return FixedPointNetwork(network, tuple(layers))


def fixed_network(network: Network) -> Network:
    """`network` as Loihi holds it: the same layers with whole numbers, in Loihi's arithmetic, on any substrate.

    Raises:
        Unsupported: Loihi cannot hold it; see `quantize`.
    """
    return quantize(network).stated


def quantization_problems(network: Network) -> list[str]:
    """Everything that keeps Loihi from holding `network`."""
    return _quantized_layers(network)[1]


def _quantized_layers(network: Network) -> tuple[list[FixedPointLayer], list[str]]:
    layers: list[FixedPointLayer] = []
    problems: list[str] = []
    if network.arithmetic == "loihi":
        rows = enumerate(zip(network.layers, network.shapes))
        return [_as_stated(index, layer, shape) for index, (layer, shape) in rows if isinstance(layer, SPIKING)], []
    for index, (layer, shape) in enumerate(zip(network.layers, network.shapes)):
        if isinstance(layer, (SumPool, AveragePool)):
            problems.append(
                f"layer {index}: {type(layer).__name__}: netx has no pooling; use a Conv with a stride instead"
            )
        elif isinstance(layer, Input):
            problems.append(f"layer {index}: Input: only a network in Loihi's arithmetic has input neurons there")
        elif isinstance(layer, SPIKING):
            found = _layer_problems(layer, shape)
            if not found:
                fixed = _quantized_layer(index, layer, shape)
                found = _rounding_problems(fixed)
                layers.append(fixed)
            problems += [f"layer {index}: {problem}" for problem in found]
    return layers, problems


def _as_stated(index: int, layer: Input | Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    """A layer of a network in Loihi's arithmetic, value by value."""
    neuron = layer.neuron
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=layer.weight.astype(np.int64),
        current_decay=np.round(DECAY_ONE * neuron.current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * neuron.voltage_decay).astype(np.int64),
        threshold=int(neuron.threshold.flat[0]),
        bias=neuron.bias.astype(np.int64) if np.any(neuron.bias) else None,
        row_scale=np.ones(layer.weight.shape[0] if layer.weight.ndim > 1 else 1),
    )


def _layer_problems(layer: Dense | Conv, shape: tuple[int, ...]) -> list[str]:
    problems = []
    neuron = layer.neuron
    for name in ("delay", "recurrent"):
        if getattr(layer, name, None) is not None:
            problems.append(f"{name}: only a network in Loihi's arithmetic has it there")
    if neuron.reset != "zero":
        problems.append(f"reset '{neuron.reset}': Loihi resets to zero only")
    if not layer.weight.any():
        problems.append("weight: every value is zero, which netx does not read")
    if isinstance(layer, Conv) and neuron.threshold.shape == shape and np.unique(neuron.threshold).size > 1:
        problems.append("threshold: one value a channel at most; Loihi has one threshold a layer")
    if largest_weight(layer, shape) > WEIGHT_LIMIT:
        problems.append(f"weight: up to {WEIGHT_LIMIT} times the threshold can be held; these are larger")
    if np.abs(relative_bias(layer, shape)).max() > BIAS_LIMIT:
        problems.append(f"bias: up to {BIAS_LIMIT} times the threshold can be held; these are larger")
    return problems


def _quantized_layer(index: int, layer: Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    neuron = layer.neuron
    mantissa = best_mantissa(layer, shape)
    weight = (2 * np.round(relative_weight(layer, shape) * mantissa / 2)).astype(np.int64)
    bias = np.round(relative_bias(layer, shape) * mantissa).astype(np.int64) if np.any(neuron.bias) else None
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=weight,
        current_decay=np.round(DECAY_ONE * neuron.current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * neuron.voltage_decay).astype(np.int64),
        threshold=mantissa,
        bias=bias,
        row_scale=mantissa / row_threshold(layer, shape),
    )


def _rounding_problems(layer: FixedPointLayer) -> list[str]:
    if not layer.weight.any():
        return ["weight: every value rounds to zero next to the threshold"]
    if isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
        return ["weight: Loihi's encoding of this matrix does not keep its values"]
    return []
