"""Quantization of a float network to Loihi's integers: 8-bit weights, 12-bit decays, one threshold per layer.

A neuron's spikes do not change when its weights, bias and threshold are scaled by a common factor. Each row of weights
is therefore scaled by `threshold_mantissa / threshold`, which makes every threshold of a layer the same integer without
rounding it. The mantissa minimizes the rounding error of weights and biases (`deploy.scale`); weights are even integers
in [-254, 254]. A layer whose weights, threshold and bias are already such integers keeps them:

    weight  = 2 round(w / threshold * threshold_mantissa / 2)      current_decay = round(4096 du)
    bias    = round(b / threshold * threshold_mantissa)            voltage_decay = round(4096 dv)

Weights are even because Loihi's mixed sign mode and SLAYER have no finer resolution, and never -256 because the
all-inhibitory mode cannot store it. Mantissas are at most 4095, since above that SLAYER's float32 comparison of voltage
and threshold is not exact. Where small weights would lose too much, a larger mantissa is used and SLAYER cannot hold
the network. Recurrent weights share the scale of their row and are quantized with it; delays are whole steps already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_weights import survive_together, survives_encoding
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
from bl_neuro.sigma_delta import SIGMA_DELTA

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

    weight: even, in [-254, 254], shape of the float weight. current_decay, voltage_decay: 0..4096, scalar or an array
    that broadcasts over the neurons. threshold: at least 1, one for the layer. bias: mantissas, int16, an array that
    broadcasts over the neurons, or None without bias. row_scale: (out,), integer weight = row_scale * float weight.
    For a network in Loihi's arithmetic all values are the network's own, with thresholds in 0..2^17. Sigma-delta
    neurons have no decays, which are then 0, and Sigma no threshold. recurrent: (out, out) like weight, or None.
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
    recurrent: IntArray | None = None

    @property
    def as_loihi(self) -> Input | Dense | Conv:
        """The layer in Loihi's arithmetic, with these integers as its values."""
        if isinstance(self.source, Input):  # only a network in Loihi's arithmetic has input neurons
            return self.source
        bias = 0.0 if self.bias is None else self.bias
        decays = (self.current_decay / DECAY_ONE, self.voltage_decay / DECAY_ONE)
        neuron = CubaLIF(self.threshold, *decays, bias)
        source = self.source
        if isinstance(source, Conv):
            return Conv(self.weight, neuron, source.stride, source.padding, source.dilation, source.groups)
        return Dense(self.weight, neuron, source.delay, self.recurrent)

    @property
    def effective_weight(self) -> FloatArray:
        """The rounded weights in the units of the float network."""
        return self.weight / self.row_scale.reshape(-1, *[1] * (self.weight.ndim - 1))

    @property
    def effective_recurrent(self) -> FloatArray | None:
        """The rounded recurrent weights in the units of the float network."""
        return None if self.recurrent is None else self.recurrent / self.row_scale.reshape(-1, 1)

    @property
    def weight_loss(self) -> float:
        """Root mean square rounding error of all weights, as a fraction of their root mean square."""
        original, rounded = self.source.weight.ravel(), self.effective_weight.ravel()
        recurrent: FloatArray | None = getattr(self.source, "recurrent", None)
        if recurrent is not None and self.effective_recurrent is not None:
            original, rounded = np.append(original, recurrent), np.append(rounded, self.effective_recurrent)
        power = float(np.sqrt((original**2).mean()))
        return float(np.sqrt(((rounded - original) ** 2).mean())) / power if power > 0 else 0.0

    @property
    def bias_loss(self) -> float:
        """Root mean square rounding error of the biases, as a fraction of their neurons' thresholds."""
        neuron = self.source.neuron
        if self.bias is None or self.threshold == 0 or isinstance(neuron, SIGMA_DELTA):
            return 0.0
        quantized = np.broadcast_to(per_channel(self.bias.astype(np.float64), self.shape), self.shape) / self.threshold
        original = neuron.expanded("bias", self.shape) / neuron.expanded("threshold", self.shape)
        return float(np.sqrt(((quantized - original) ** 2).mean()))

    @property
    def decay_loss(self) -> float:
        """Largest rounding error of a decay (fraction lost per step)."""
        neuron = self.source.neuron
        if isinstance(neuron, SIGMA_DELTA):
            return 0.0
        pairs = ((self.current_decay, neuron.current_decay), (self.voltage_decay, neuron.voltage_decay))
        return max(float(np.abs(fixed / DECAY_ONE - original.reshape(fixed.shape)).max()) for fixed, original in pairs)


@dataclass(frozen=True, eq=False)
class FixedPointNetwork:
    """A network in Loihi's integers, as given to `.net` files, SLAYER and Lava."""

    network: Network
    layers: tuple[FixedPointLayer, ...]

    @property
    def as_loihi(self) -> Network:
        """The network in Loihi's arithmetic, with these integers as its values."""
        if self.network.arithmetic == "loihi":
            return self.network
        by_index = {layer.index: layer.as_loihi for layer in self.layers}
        layers = [by_index.get(index, layer) for index, layer in enumerate(self.network.layers)]
        return Network(self.network.input_shape, layers, self.network.readout, "loihi")


def quantize(network: Network) -> FixedPointNetwork:
    """`network` in Loihi's integers.

    Raises:
        Unsupported: Loihi cannot hold the network; the message names every layer and parameter that prevents it.
    """
    layers, problems = _quantized_layers(network)
    if problems:
        raise Unsupported("this network has no fixed-point form: " + "; ".join(problems))
    return FixedPointNetwork(network, tuple(layers))


def fixed_network(network: Network) -> Network:
    """`network` as Loihi holds it: the same layers with integer values, in Loihi's arithmetic, for any substrate.

    Raises:
        Unsupported: Loihi cannot hold the network; see `quantize`.
    """
    return quantize(network).as_loihi


def quantization_problems(network: Network) -> list[str]:
    """All reasons why Loihi cannot hold `network`."""
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
                f"layer {index}: {type(layer).__name__}: netx has no pooling; export the network as .net, or use "
                "bl_neuro.deploy.folded_pooling.with_folded_pooling, which makes it part of the synapses behind it"
            )
        elif isinstance(layer, Input):
            problems.append(
                f"layer {index}: Input: only a network in Loihi's arithmetic can have input neurons on Loihi"
            )
        elif isinstance(layer, SPIKING):
            layer_problems = _layer_problems(layer, shape)
            if not layer_problems:
                fixed = _quantized_layer(index, layer, shape)
                layer_problems = _rounding_problems(fixed)
                layers.append(fixed)
            problems += [f"layer {index}: {problem}" for problem in layer_problems]
    return layers, problems


def _as_stated(index: int, layer: Input | Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    """A layer of a network in Loihi's arithmetic, with unchanged values."""
    parameters: dict[str, FloatArray] = layer.neuron.parameters()
    none = np.zeros(())
    recurrent: FloatArray | None = getattr(layer, "recurrent", None)
    current_decay, voltage_decay, threshold, bias = (
        parameters.get(name, none) for name in ("current_decay", "voltage_decay", "threshold", "bias")
    )
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=layer.weight.astype(np.int64),
        current_decay=np.round(DECAY_ONE * current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * voltage_decay).astype(np.int64),
        threshold=int(threshold.flat[0]),
        bias=bias.astype(np.int64) if np.any(bias) else None,
        row_scale=np.ones(layer.weight.shape[0] if layer.weight.ndim > 1 else 1),
        recurrent=None if recurrent is None else recurrent.astype(np.int64),
    )


def _with_all_weights(layer: Dense | Conv) -> Dense | Conv:
    """The layer with its recurrent weights as further columns, since Loihi scales and encodes them together."""
    if isinstance(layer, Dense) and layer.recurrent is not None:
        return Dense(np.hstack([layer.weight, layer.recurrent]), layer.neuron)
    return layer


def _layer_problems(layer: Dense | Conv, shape: tuple[int, ...]) -> list[str]:
    problems = []
    neuron = layer.neuron
    if layer.current_bias is not None:
        problems.append(
            "current_bias: Loihi adds biases to the voltage only; export the network as .net, or use "
            "bl_neuro.deploy.bias_neurons.with_bias_neurons, which adds neurons that spike in every step"
        )
    if neuron.reset != "zero":
        problems.append(f"reset '{neuron.reset}': Loihi resets to zero only")
    if not layer.weight.any():
        problems.append("weight: every value is zero, which netx cannot read")
    if isinstance(layer, Conv) and neuron.threshold.shape == shape and np.unique(neuron.threshold).size > 1:
        problems.append("threshold: expected at most one value per channel; Loihi has one threshold per layer")
    if largest_weight(_with_all_weights(layer), shape) > WEIGHT_LIMIT:
        problems.append(f"weight: expected magnitudes up to {WEIGHT_LIMIT} times the threshold; these are larger")
    if np.abs(relative_bias(layer, shape)).max() > BIAS_LIMIT:
        problems.append(f"bias: expected magnitudes up to {BIAS_LIMIT} times the threshold; these are larger")
    return problems


def _quantized_layer(index: int, layer: Dense | Conv, shape: tuple[int, ...]) -> FixedPointLayer:
    neuron = layer.neuron
    whole = _with_all_weights(layer)
    mantissa = best_mantissa(whole, shape)
    weight = (2 * np.round(relative_weight(whole, shape) * mantissa / 2)).astype(np.int64)
    recurrent = weight[:, layer.weight.shape[1] :] if whole is not layer else None
    bias = np.round(relative_bias(layer, shape) * mantissa).astype(np.int64) if np.any(neuron.bias) else None
    return FixedPointLayer(
        index=index,
        source=layer,
        shape=shape,
        weight=weight if recurrent is None else weight[:, : layer.weight.shape[1]],
        current_decay=np.round(DECAY_ONE * neuron.current_decay).astype(np.int64),
        voltage_decay=np.round(DECAY_ONE * neuron.voltage_decay).astype(np.int64),
        threshold=mantissa,
        bias=bias,
        row_scale=mantissa / row_threshold(layer, shape),
        recurrent=recurrent,
    )


def _rounding_problems(layer: FixedPointLayer) -> list[str]:
    if not layer.weight.any():
        return ["weight: every value is so small relative to the threshold that it rounds to zero"]
    if layer.recurrent is not None:
        survives = survive_together([layer.weight, layer.recurrent])
    else:
        survives = survives_encoding(layer.weight)
    if isinstance(layer.source, Dense) and not survives:
        return ["weight: Loihi's encoding of this matrix does not preserve its values"]
    return []
