"""Loihi's fixed-point arithmetic in plain NumPy integers: the parity oracle of the fixed-point substrates.

Inside 24 bits, with tz(x >> 12) an arithmetic shift of the magnitude that keeps the sign:

    u[t] = tz(u[t-1] (4096 - iDecay) >> 12) + 64 a[t]        a: the sum of the weights of the inputs that spike
    v[t] = tz(v[t-1] (4096 - vDecay) >> 12) + u[t] + 64 bias
    s[t] = v[t] > 64 vThMant        v[t] <- 0 where s[t]

Loihi wraps u and clips v beyond 24 bits, SLAYER does neither: `overflowed` says that a comparison means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.deploy.quantize import FixedPointLayer, FixedPointNetwork
from bl_neuro.layers import Conv, Dense, Flatten, Layer
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, per_neuron
from bl_neuro.reference import Recording

LIMIT = 2**23 - 1


@dataclass(frozen=True)
class FixedPointRecording(Recording):
    """What the integers did. overflowed: some state left 24 bits, where Loihi itself and SLAYER part ways."""

    overflowed: bool


def simulate_fixed_point(fixed: FixedPointNetwork, spikes: Any, start: str = "aligned") -> FixedPointRecording:
    """Runs `fixed` on `spikes` (T, B, *input_shape), 0/1. start: see `bl_neuro.reference.simulate`."""
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
    """The float network whose parameters are the rounded ones: what is left is the rounding of states."""
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
    """Spikes, membrane (voltage before reset / threshold) and whether a state left 24 bits."""
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
    magnitude: IntArray = (np.abs(state) * keep) >> 12
    return np.where(state < 0, -magnitude, magnitude)
