"""Whether the states of a layer stay within Loihi's 24 bits for every input, from bounds a priori.

The weighted input a of a neuron is at most the largest row sum of |weight|; with rounding toward zero, the
current u and the voltage v stay below the geometric series of their decay (`min(steps, 4096 / decay)` terms):

    |u| <= 64 |a| min(steps, 4096 / iDecay)        |v| <= (|u| + 64 |bias|) min(steps, 4096 / vDecay)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro.arrays import IntArray
from bl_neuro.deploy.loihi_weights import effective_weights
from bl_neuro.deploy.quantize import FixedPointLayer
from bl_neuro.layers import SPIKING, Dense, Input
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.network import Network
from bl_neuro.sigma_delta import SIGMA_DELTA

STATE_LIMIT = 2**23
"""Limit of 24 signed bits: beyond it the current wraps around and the voltage is clipped."""
UNIT = 64
"""Factor between a weight, bias or threshold mantissa and the units of Loihi's states."""


@dataclass(frozen=True)
class StateBound:
    """Largest |u| and |v| that any input spikes can cause, in Loihi's units; infinite where unbounded."""

    current: float
    voltage: float

    @property
    def fits(self) -> bool:
        """Whether the states stay within 24 bits for every input."""
        return max(self.current, self.voltage) < STATE_LIMIT


def state_bound(layer: FixedPointLayer, steps: int | None = None) -> StateBound:
    """Bounds on |u| and |v| for samples of `steps` time steps, or of any length if None.

    Infinite for input neurons and sigma-delta neurons.
    """
    if isinstance(layer.source, Input) or isinstance(layer.source.neuron, SIGMA_DELTA):
        return StateBound(math.inf, math.inf)
    sums = _row_sums(layer)
    bias = 0 if layer.bias is None else int(np.abs(layer.bias).max())
    current = UNIT * sums * _series(layer.current_decay, steps) if sums else 0.0
    drive = current + UNIT * bias
    return StateBound(current, drive * _series(layer.voltage_decay, steps) if drive else 0.0)


def _row_sums(layer: FixedPointLayer) -> float:
    """The largest sum of |weight| that one neuron can receive in a time step."""
    weight: Any = np.abs(layer.weight)
    if isinstance(layer.source, Dense) and layer.weight.any():  # encoding may round a weight away from zero
        weight = np.maximum(weight, np.abs(effective_weights(layer.weight)))
    rows = weight.reshape(len(weight), -1).sum(axis=1)
    if layer.recurrent is not None:
        rows = rows + 2 * np.abs(layer.recurrent).sum(axis=1)  # twice: its encoding may round away from zero as well
    return float(rows.max())


def _series(decay: IntArray, steps: int | None) -> float:
    slowest = int(decay.min())
    terms = DECAY_ONE / slowest if slowest else math.inf
    return min(terms, steps) if steps is not None else terms


def never_spikes(network: Network) -> bool:
    """Whether no voltage that Loihi can hold exceeds the output thresholds, as in Lava-DL's exported readouts."""
    last = [layer for layer in network.layers if isinstance(layer, SPIKING)][-1]
    if network.is_sigma_delta:
        return False
    return network.arithmetic == "loihi" and bool((last.neuron.threshold >= THRESHOLD_MAX - 1).all())
