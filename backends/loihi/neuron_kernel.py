"""One time step of Loihi's CUBA neuron in 32-bit integers, for a range of neurons.

    u = tz(u (4096 - iDecay) >> 12) + 64 a, wrapped once to 24 bits;   v = clip(tz(v (4096 - vDecay) >> 12) + u + bias)
    s = v > 64 vThMant;   v = 0 where s

tz shifts the magnitude and restores the sign: with x = 4096 h + l and 0 <= l < 4096, it is h k + ((l k + r) >> 12),
where r = 4095 for negative x and 0 otherwise. The product of 31 and 12 bits therefore needs no 64-bit integers.
Source: lava-nc 0.10.0, `AbstractPyLifModelFixed`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.int32_ops import add, bits, larger, mul, shl, shr, smaller, sub

_LIMIT = np.int32(1 << 23)
_TURN = np.int32(1 << 24)
_MAX = np.int32((1 << 23) - 1)
_MIN = np.int32(1 - (1 << 23))
_TWELVE = np.int32(12)
_LOW = np.int32(4095)
_SIGN = np.int32(31)
_ZERO = np.int32(0)
_SIX = np.int32(6)


@compiled(inline="always")
def decayed(state: Any, keep: Any) -> Any:
    """State (int32) times keep / 4096, rounded toward zero."""
    up = bits(shr(state, _SIGN), _LOW)  # 4095 if negative: turns rounding down into rounding toward zero
    low = shr(add(mul(bits(state, _LOW), keep), up), _TWELVE)
    return add(mul(shr(state, _TWELVE), keep), low)


@compiled(inline="always")
def wrapped(u: Any) -> Any:
    """A current wrapped once into 24 bits."""
    return sub(u, _TURN) if u > _LIMIT else (add(u, _TURN) if u <= -_LIMIT else u)


@compiled()
def step_neurons(
    drive: Any,
    current: Any,
    voltage: Any,
    keep_current: Any,
    keep_voltage: Any,
    bias: Any,
    threshold: Any,
    memoryless: bool,
    fired: Any,
) -> None:
    """Updates neurons for one time step. All arrays are int32, except `fired`, uint8.

    drive: 64 times the synaptic sum; overwritten with the voltage before the reset. memoryless: whether the current
    decays completely in each step (iDecay 4096).
    """
    if memoryless:
        for place in range(drive.size):
            u = wrapped(drive[place])
            v = add(add(decayed(voltage[place], keep_voltage[place]), u), bias[place])
            v = smaller(larger(v, _MIN), _MAX)
            current[place] = u
            drive[place] = v
            voltage[place] = _ZERO if v > threshold else v
            fired[place] = v > threshold
        return
    for place in range(drive.size):
        u = wrapped(add(drive[place], decayed(current[place], keep_current[place])))
        v = add(add(decayed(voltage[place], keep_voltage[place]), u), bias[place])
        v = smaller(larger(v, _MIN), _MAX)
        current[place] = u
        drive[place] = v
        voltage[place] = _ZERO if v > threshold else v
        fired[place] = v > threshold


@compiled()
def run_neurons(
    sums: Any,
    keep_current: Any,
    keep_voltage: Any,
    bias: Any,
    threshold: Any,
    memoryless: bool,
    fired: Any,
    final_current: Any,
    final_voltage: Any,
) -> None:
    """Runs neurons (B, N) on sums (T, B, N), int32, which are overwritten with the voltages before the reset."""
    steps, batch, width = sums.shape
    tile = 1024
    current = np.empty(tile, np.int32)
    voltage = np.empty(tile, np.int32)
    for sample in range(batch):
        for low in range(0, width, tile):
            high = min(width, low + tile)
            size = high - low
            current[:] = 0
            voltage[:] = 0
            for step in range(steps):
                drive = sums[step, sample, low:high]
                for place in range(size):
                    drive[place] = shl(drive[place], _SIX)
                step_neurons(
                    drive,
                    current[:size],
                    voltage[:size],
                    keep_current[low:high],
                    keep_voltage[low:high],
                    bias[low:high],
                    threshold,
                    memoryless,
                    fired[step, sample, low:high],
                )
            final_current[sample, low:high] = current[:size]
            final_voltage[sample, low:high] = voltage[:size]
