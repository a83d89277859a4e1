"""From a float network to the integers Loihi holds: 8-bit weights, 12-bit decays, one threshold a layer.

A neuron does not change when its weights, bias and threshold are scaled together. So each row of weights is scaled by
`threshold_mantissa / threshold`, which makes every threshold of a layer the same integer without rounding it, and the
mantissa is the largest that keeps the weights within a signed byte of even values, [-254, 254] (a layer whose weights,
threshold and bias are such integers already keeps them):

    weight  = 2 round(w / threshold * threshold_mantissa / 2)      current_decay = round(4096 du)
    bias    = round(b / threshold * threshold_mantissa)            voltage_decay = round(4096 dv)

Even values, because Loihi's mixed sign mode and SLAYER hold nothing finer; no -256, because the all-inhibitory mode
cannot hold it; mantissas up to 4095, because SLAYER decides ties in float32 above that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.errors import Unsupported
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, Input, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF

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
    def stated(self) -> Dense | Conv:
        """The layer with these integers as its values."""
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
    mantissa = _mantissa(layer, shape)
    if mantissa < 1:
        problems.append(f"weight: up to {WEIGHT_LIMIT} times the threshold can be held; these are larger")
    bias = np.abs(_scaled_bias(layer, shape, mantissa)).max()
    if bias > BIAS_LIMIT:
        problems.append(f"bias: at most {BIAS_LIMIT} in Loihi's units, found {bias:.6g}")
    return problems


def _row_threshold(layer: Dense | Conv, shape: tuple[int, ...]) -> FloatArray:
    """Threshold of each row of weights, (out,)."""
    return layer.neuron.expanded("threshold", shape).reshape(layer.weight.shape[0], -1)[:, 0]


def _relative_weight(layer: Dense | Conv, shape: tuple[int, ...]) -> FloatArray:
    """Weights as multiples of their neuron's threshold."""
    with np.errstate(over="ignore"):
        return layer.weight / _row_threshold(layer, shape).reshape(-1, *[1] * (layer.weight.ndim - 1))


def _mantissa(layer: Dense | Conv, shape: tuple[int, ...]) -> int:
    """The threshold in Loihi's units: the largest at which the weights fit. 0 where there is none.

    A layer that already holds Loihi's integers keeps them.
    """
    if _is_fixed_point(layer):
        return int(layer.neuron.threshold.flat[0])
    relative = _relative_weight(layer, shape)
    largest = float(np.abs(relative).max())
    mantissa = int(min(WEIGHT_LIMIT / largest, THRESHOLD_LIMIT)) if largest > 0 else THRESHOLD_LIMIT
    held = 2 * round(largest * mantissa / 2) if mantissa else 0
    if isinstance(layer, Dense) and held > 0 >= relative.max() and held & (held - 1) == 0:
        return int((held - 1.5) / largest) or mantissa  # inhibition down to a power of two does not survive netx
    return mantissa


def _is_fixed_point(layer: Dense | Conv) -> bool:
    """Whether weights, threshold and bias are integers that Loihi holds as they are."""
    thresholds = np.unique(layer.neuron.threshold)
    return (
        thresholds.size == 1
        and thresholds[0] <= THRESHOLD_LIMIT
        and thresholds[0] == np.round(thresholds[0])
        and bool((np.abs(layer.weight) <= WEIGHT_LIMIT).all())
        and bool((layer.weight == 2 * np.round(layer.weight / 2)).all())
        and bool((layer.neuron.bias == np.round(layer.neuron.bias)).all())
    )


def _scaled_bias(layer: Dense | Conv, shape: tuple[int, ...], mantissa: int) -> FloatArray:
    """Bias of each neuron in Loihi's units, rounded, still in floating point: it may be out of range."""
    with np.errstate(over="ignore"):
        relative = layer.neuron.expanded("bias", shape) / layer.neuron.expanded("threshold", shape)
        return np.round(relative * mantissa) if mantissa else np.zeros(shape)


def _quantized_layer(index: int, layer: Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    neuron = layer.neuron
    mantissa = _mantissa(layer, shape)
    weight = (2 * np.round(_relative_weight(layer, shape) * mantissa / 2)).astype(np.int64)
    bias = _scaled_bias(layer, shape, mantissa).astype(np.int64) if np.any(neuron.bias) else None
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=weight,
        current_decay=np.round(DECAY_ONE * neuron.current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * neuron.voltage_decay).astype(np.int64),
        threshold=mantissa,
        bias=bias,
        row_scale=mantissa / _row_threshold(layer, shape),
    )


def _rounding_problems(layer: FixedPointLayer) -> list[str]:
    if not layer.weight.any():
        return ["weight: every value rounds to zero next to the threshold"]
    if isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
        return ["weight: Loihi's encoding of this matrix does not keep its values"]
    return []
