"""Ranges of the integers of a layer in Loihi's arithmetic. Sources: lava-dl's netx reader, lava-nc's LIF."""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, Input, SumPool
from bl_neuro.sigma_delta import SIGMA_DELTA

WEIGHT_RANGE = (-(2**20), 2**20)
"""Range of weights in a file; Loihi clips and truncates weights that do not fit 8 bits (`deploy.loihi_weights`)."""
THRESHOLD_MAX = 2**17
"""Largest vThMant; a neuron with this threshold never spikes, since no voltage exceeds it."""
BIAS_RANGE = (-(2**15), 2**15 - 1)
DECAY_ONE = 4096
MAX_DRIVE = 2**24
"""Largest drive of an input neuron: beyond it, Lava's 32-bit arithmetic overflows."""

MAX_GRADED_SUM = 2**27
"""Largest sum of the magnitudes of a kernel's weights for graded messages: Lava adds the products in float64."""


def input_drive(layer: Input, values: FloatArray) -> IntArray:
    """Drive of input neurons with inputs `values` (..., *shape): weight * x + bias, rounded toward zero.

    Raises:
        InputError: the drive exceeds `MAX_DRIVE`.
    """
    drive = np.trunc(layer.weight * values.astype(np.float64) + layer.bias)
    largest = float(np.abs(drive).max(initial=0.0))
    if largest > MAX_DRIVE:
        raise InputError(f"current: expected weight * x + bias within {MAX_DRIVE}, found {largest:.6g}")
    whole: IntArray = drive.astype(np.int64)
    return whole


def loihi_problems(layer: Any) -> list[str]:
    """All reasons why `layer` cannot be part of a network in Loihi's arithmetic."""
    if isinstance(layer, (SumPool, AveragePool)):
        return [f"{type(layer).__name__}: netx has no pooling; use a Conv with a stride instead"]
    if not isinstance(layer, SPIKING):
        return []
    neuron = layer.neuron
    problems = _whole("weight", layer.weight, *WEIGHT_RANGE)
    if isinstance(layer, Input):
        problems += _whole("bias", layer.bias, *WEIGHT_RANGE)
    if isinstance(layer, Dense) and layer.recurrent is not None:
        problems += _whole("recurrent", layer.recurrent, *WEIGHT_RANGE)
    if getattr(layer, "current_bias", None) is not None:
        problems.append("current_bias: Loihi adds biases to the voltage only; use a neuron that spikes in every step")
    if isinstance(neuron, SIGMA_DELTA):  # which check their own integers
        return problems + (_kernel_problems(layer) if isinstance(layer, Conv) else [])
    problems += _whole("threshold", neuron.threshold, 0, THRESHOLD_MAX)
    problems += _whole("bias of the neurons", neuron.bias, *BIAS_RANGE)
    for name in ("current_decay", "voltage_decay"):
        problems += _whole(f"{name} x 4096", neuron.parameters()[name] * DECAY_ONE, 0, DECAY_ONE)
    if np.unique(neuron.threshold).size > 1:
        problems.append("threshold: expected one value; Loihi has one threshold per layer")
    if neuron.reset != "zero":
        problems.append(f"reset '{neuron.reset}': Loihi resets to zero only")
    return problems


def _kernel_problems(layer: Conv) -> list[str]:
    largest = float(np.abs(layer.weight).reshape(len(layer.weight), -1).sum(1).max())
    if largest <= MAX_GRADED_SUM:
        return []
    expected = f"magnitudes that add up to at most {MAX_GRADED_SUM} for a neuron"
    return [f"weight: expected {expected}, found {largest:.0f}; Lava would round sums of graded messages"]


def _whole(name: str, values: Any, low: int, high: int) -> list[str]:
    if (values != np.round(values)).any() or (values < low).any() or (values > high).any():
        wrong = values[(values != np.round(values)) | (values < low) | (values > high)].flat[0]
        return [f"{name}: expected whole numbers in {low}..{high}, found {wrong:g}"]
    return []
