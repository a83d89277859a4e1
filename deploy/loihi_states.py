"""Whether recorded inputs drive the states of a layer beyond Loihi's 24 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_limits import STATE_LIMIT, UNIT, state_bound
from bl_neuro.deploy.quantize import FixedPointLayer
from bl_neuro.layers import Conv, Input
from bl_neuro.loihi_numbers import DECAY_ONE, input_drive
from bl_neuro.neuron import per_neuron


def leaves_24_bits(layer: FixedPointLayer, values: Any) -> bool:
    """Whether a state exceeds 24 bits when the layer receives `values`, spikes or real inputs of shape (T, B, *input).

    Valid for a layer without delays or recurrent synapses that starts aligned, with its first input.
    """
    if state_bound(layer, len(values)).fits:
        return False
    keep_current = DECAY_ONE - per_neuron(layer.current_decay, layer.shape)
    keep_voltage = DECAY_ONE - per_neuron(layer.voltage_decay, layer.shape)
    bias = 0 if layer.bias is None else UNIT * per_neuron(layer.bias, layer.shape)
    current = np.zeros((np.shape(values)[1], *layer.shape), np.int64)
    voltage = np.zeros_like(current)
    for frame in np.asarray(values):
        current = _decayed(current, keep_current) + UNIT * _sums(layer, frame)
        voltage = _decayed(voltage, keep_voltage) + current + bias
        if max(np.abs(current).max(), np.abs(voltage).max()) >= STATE_LIMIT:
            return True
        voltage = np.where(voltage > UNIT * layer.threshold, 0, voltage)
    return False


def _sums(layer: FixedPointLayer, frame: Any) -> IntArray:
    """Weighted inputs (B, *shape) for one frame (B, *input)."""
    if isinstance(layer.source, Input):
        return input_drive(layer.source, frame)
    source, values = layer.source, torch.from_numpy(np.ascontiguousarray(frame)).double()
    weight = torch.from_numpy(np.ascontiguousarray(layer.weight)).double()
    if isinstance(source, Conv):
        sums = F.conv2d(values, weight, None, source.stride, source.padding, source.dilation, source.groups)
    else:
        sums = F.linear(values, weight)
    result: FloatArray = sums.numpy()
    return result.astype(np.int64)


def _decayed(state: IntArray, keep: IntArray) -> IntArray:
    magnitude: IntArray = (np.abs(state) * keep) >> 12
    return np.where(state < 0, -magnitude, magnitude)
