"""Loihi's fixed-point arithmetic in plain NumPy integers, as a reference for fixed-point substrates.

Within 24 bits, with tz(x >> 12) an arithmetic shift of the magnitude that keeps the sign:

    u[t] = tz(u[t-1] (4096 - iDecay) >> 12) + 64 a[t]        a: the sum of the weights of the inputs that spike
    v[t] = tz(v[t-1] (4096 - vDecay) >> 12) + u[t] + 64 bias
    s[t] = v[t] > 64 vThMant        v[t] <- 0 where s[t]

Beyond 24 bits, Loihi wraps u and clips v, and SLAYER does neither; `overflowed` then marks a comparison as invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.deploy.net_values import encoding_problem
from bl_neuro.deploy.quantize import FixedPointLayer, FixedPointNetwork
from bl_neuro.layers import Conv, Dense, Flatten, Layer
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, per_neuron
from bl_neuro.reference import ReferenceRun

LIMIT = 2**23 - 1


@dataclass(frozen=True)
class FixedPointRecording(ReferenceRun):
    """The result of a simulation. overflowed: a state exceeded 24 bits, where Loihi and SLAYER differ."""

    overflowed: bool


def simulate_fixed_point(fixed: FixedPointNetwork, spikes: Any, start: str = "aligned") -> FixedPointRecording:
    """Runs `fixed` on `spikes` (T, B, *input_shape), 0 or 1. start: see `bl_neuro.reference.simulate`."""
    by_index = {layer.index: layer for layer in fixed.layers}
    values: IntArray = np.asarray(spikes).astype(np.int64)
    steps = len(values)
    recorded: list[BoolArray] = []
    membranes: list[FloatArray] = []
    overflowed = False
    for index, layer in enumerate(fixed.network.layers):
        if isinstance(layer, Flatten):
            values = values.reshape(*values.shape[:2], -1)
            continue
        sums = _sums(by_index[index], values)
        if start == "cold":
            sums = np.concatenate([np.zeros_like(sums[:1]), sums])
        fired, membrane, beyond = _run_neurons(by_index[index], sums)
        overflowed |= beyond
        recorded.append(fired[-steps:])
        membranes.append(membrane[-steps:])
        values = fired.astype(np.int64)
    if isinstance(fixed.network.layers[-1], Flatten):
        recorded[-1] = recorded[-1].reshape(*recorded[-1].shape[:2], -1)
        membranes[-1] = membranes[-1].reshape(*membranes[-1].shape[:2], -1)
    return FixedPointRecording(tuple(recorded), tuple(membranes), overflowed)


def effective_network(fixed: FixedPointNetwork) -> Network:
    """The float network with rounded parameters, which differs from Loihi only in the rounding of states."""
    layers: list[Layer] = list(fixed.network.layers)
    for layer in fixed.layers:
        neuron = layer.source.neuron
        scale = layer.threshold / neuron.expanded("threshold", layer.shape)
        rounded = CubaLIF(
            threshold=neuron.threshold,
            current_decay=layer.current_decay / DECAY_ONE,
            voltage_decay=layer.voltage_decay / DECAY_ONE,
            bias=0.0 if layer.bias is None else layer.bias / scale,
        )
        source = layer.source
        if isinstance(source, Conv):
            geometry = (source.stride, source.padding, source.dilation, source.groups)
            layers[layer.index] = Conv(layer.effective_weight, rounded, *geometry)
        else:
            layers[layer.index] = Dense(layer.effective_weight, rounded)
    return Network(fixed.network.input_shape, layers, fixed.network.readout)


def _sums(layer: FixedPointLayer, values: IntArray) -> IntArray:
    """Sums of the weights of the inputs that spike, (T, B, *shape)."""
    source = layer.source
    if not isinstance(source, Conv):
        return values @ layer.weight.T
    images = torch.from_numpy(values.reshape(-1, *values.shape[2:]))
    weight = torch.from_numpy(layer.weight)
    sums = F.conv2d(images, weight, None, source.stride, source.padding, source.dilation, source.groups)
    result: IntArray = sums.numpy().reshape(*values.shape[:2], *layer.shape)
    return result


def _run_neurons(layer: FixedPointLayer, sums: IntArray) -> tuple[BoolArray, FloatArray, bool]:
    """Spikes, membrane (voltage before reset / threshold) and whether a state exceeded 24 bits."""
    keep_current = DECAY_ONE - per_neuron(layer.current_decay, layer.shape)
    keep_voltage = DECAY_ONE - per_neuron(layer.voltage_decay, layer.shape)
    bias = per_neuron(layer.bias, layer.shape) << 6 if layer.bias is not None else np.int64(0)
    threshold = layer.threshold << 6
    current = np.zeros(sums.shape[1:], np.int64)
    voltage = np.zeros_like(current)
    fired = np.empty(sums.shape, np.bool_)
    membrane = np.empty(sums.shape)
    largest = 0
    for step, total in enumerate(sums):
        current = _decayed(current, keep_current) + (total << 6)
        voltage = _decayed(voltage, keep_voltage) + current + bias
        largest = max(largest, int(np.abs(current).max()), int(np.abs(voltage).max()))
        fired[step] = voltage > threshold
        membrane[step] = voltage / threshold
        voltage = np.where(fired[step], 0, voltage)
    return fired, membrane, largest > LIMIT


def _decayed(state: IntArray, keep: IntArray) -> IntArray:
    # Written again rather than imported from `loihi_limits`: a reference must not share a mistake with what it checks.
    magnitude: IntArray = (np.abs(state) * keep) >> 12
    return np.where(state < 0, -magnitude, magnitude)


Generator = np.random.Generator
Shape = tuple[int, ...]
WEIGHTS: dict[str, Callable[[Generator, Shape], IntArray]] = {
    "mixed": lambda rng, shape: rng.integers(-256, 255, shape),
    "even": lambda rng, shape: 2 * rng.integers(-128, 128, shape),
    "exciting": lambda rng, shape: rng.integers(0, 256, shape),
    "inhibiting": lambda rng, shape: -rng.integers(1, 256, shape),
    "inhibiting with zeros": lambda rng, shape: -rng.integers(0, 129, shape),
    "zeros and minus ones": lambda rng, shape: -rng.integers(0, 2, shape),
    "tiny": lambda rng, shape: rng.integers(-1, 2, shape),
    "sparse": lambda rng, shape: rng.integers(-256, 255, shape) * (rng.random(shape) < 0.05),
    "multiples of 64": lambda rng, shape: 64 * rng.integers(-3, 4, shape),
    "clipped": lambda rng, shape: rng.integers(-MOST_WEIGHT, MOST_WEIGHT, shape),
    "small": lambda rng, shape: np.round(rng.normal(0, 20, shape)).astype(np.int64),
}
DECAYS = (0, 1, 2, 100, 410, 2048, 4095, 4096)
THRESHOLDS = (0, 1, 6, 25, 64, 1000, 4096, 20000, 131071)
DELAYS = (12, 62)
MOST_WEIGHT = 2**20
"""The largest that the format holds. netx clips mixed ones to 9 bits; those of convolutions stay as they are."""


def random_fixed_point(seed: int, *, conv: bool | None = None, delays: bool = True, biases: bool = True) -> Network:
    """A random network of one to three dense layers.

    conv: whether a convolution precedes them; if None, it does for a third of the seeds.
    """
    rng = np.random.default_rng(seed)
    layers: list[Any] = []
    shape: Shape = (int(rng.integers(1, 300)),)
    if seed % 3 == 0 if conv is None else conv:
        shape = (3, 9, 11)
        layers = [_conv(rng, biases), Flatten()]
        inputs = int(np.prod(layers[0].output_shape(shape)))
    else:
        inputs = shape[0]
    for _ in range(int(rng.integers(1, 4))):
        outputs = int(rng.integers(1, 120))
        delay = _delay(rng, outputs, inputs) if delays and outputs * inputs < 6000 else None
        weight, recurrent = drawn_weights(rng, (outputs, inputs)), None
        if delays and delay is None and rng.random() < 0.15:
            recurrent = drawn_weights(rng, (outputs, outputs))
            while encoding_problem(weight, recurrent) is not None:  # netx encodes the two together
                weight, recurrent = drawn_weights(rng, (outputs, inputs)), drawn_weights(rng, (outputs, outputs))
        layers.append(Dense(weight, _neuron(rng, (outputs,), biases), delay=delay, recurrent=recurrent))
        inputs = outputs
    return Network(shape, layers, arithmetic="loihi")


def _conv(rng: Generator, biases: bool) -> Conv:
    geometry: dict[str, Any] = {
        "stride": tuple(rng.integers(1, 3, 2)),
        "padding": tuple(rng.integers(0, 3, 2)),
        "dilation": tuple(rng.integers(1, 3, 2)),
        "groups": int(rng.choice([1, 3])),
    }
    weight = drawn_weights(rng, (6, 3 // geometry["groups"], int(rng.integers(1, 4)), int(rng.integers(1, 5))))
    if rng.random() < 0.2:
        weight = rng.integers(-MOST_WEIGHT, MOST_WEIGHT, weight.shape)
    return Conv(weight, _neuron(rng, (6, 1, 1), biases), **geometry)


def drawn_weights(rng: Generator, shape: Shape) -> IntArray:
    """Random weights of one of the kinds; a matrix that the encoding would set to zero is drawn again."""
    while True:
        weight = WEIGHTS[rng.choice(sorted(WEIGHTS))](rng, shape)
        if weight.any() if len(shape) == 4 else encoding_problem(weight, None) is None:
            return weight


def _neuron(rng: Generator, shape: Shape, biases: bool) -> CubaLIF:
    several = shape if rng.random() < 0.2 else ()
    bias: Any = 0.0
    if biases and rng.random() < 0.3:
        reach = 4000 if rng.random() < 0.5 else 2**15
        bias = rng.integers(-reach, reach, shape)
    return CubaLIF(
        threshold=float(rng.choice(THRESHOLDS)),
        current_decay=_decay(rng, several),
        voltage_decay=_decay(rng, several),
        bias=bias,
    )


def _decay(rng: Generator, shape: Shape) -> Any:
    drawn = rng.choice([*DECAYS, int(rng.integers(0, DECAY_ONE + 1))]) if shape == () else rng.integers(0, 4097, shape)
    return drawn / DECAY_ONE


def _delay(rng: Generator, outputs: int, inputs: int) -> Any:
    """Random delays per row, per input or per synapse; most networks have none."""
    if rng.random() > 0.25:
        return None
    shape = [(outputs, 1), (1, inputs), (outputs, inputs)][int(rng.integers(3))]
    return rng.integers(0, rng.choice(DELAYS) + 1, shape)
