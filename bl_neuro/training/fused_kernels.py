"""Compiled kernels of fused training steps: the neuron and its gradient through time, the rate proxy, AdamW.

Each kernel computes the same floating-point operations in the same order as the autograd implementation, including its
fused multiply-adds, so that both give the same bits. Arrays are flat or (members, ...), contiguous, float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from bl_neuro.backends.loihi.compiled import compiled

_F32 = types.float32
BLOCK = 2048
"""Number of neurons that are simulated over all steps before the next ones: their voltages stay in cache."""
_ONE, _NONE = np.float32(1.0), np.float32(0.0)
_LEAK = np.float32(0.01)
_EPSILON = np.float32(1e-8)


def _typed_fma(typing_context: Any, left: Any, right: Any, summand: Any) -> Any:
    """The product of two numbers plus a third one, with a single rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return (_F32(_F32, _F32, _F32), generate) if left == right == summand == _F32 else None


_fma: Any = intrinsic(_typed_fma)


@compiled(error_model="numpy")
def fire(membrane: Any, spikes: Any, keep: Any) -> None:
    """Neurons (members, T, neurons) with reset to zero. `membrane` contains the drive and is overwritten."""
    voltage = np.empty(BLOCK, np.float32)
    members, steps, neurons = membrane.shape
    for member in range(members):
        for start in range(0, neurons, BLOCK):
            size = min(BLOCK, neurons - start)
            for place in range(size):
                voltage[place] = _NONE
            for step in range(steps):
                drive = membrane[member, step, start : start + size]
                fired = spikes[member, step, start : start + size]
                for place in range(size):
                    value = keep * voltage[place] + drive[place]
                    drive[place] = value
                    fired[place] = _ONE if value > _ONE else _NONE
                    voltage[place] = _NONE if value > _ONE else value


@compiled(error_model="numpy")
def hidden_gradient(gradient: Any, membrane: Any, spikes: Any, keep: Any, steepness: Any) -> None:
    """Gradient with respect to the drive of neurons (members, T, neurons), in place of that of their spikes.

    steepness: the slope k of the surrogate gradient.
    """
    voltage = np.empty(BLOCK, np.float32)
    members, steps, neurons = membrane.shape
    for member in range(members):
        for start in range(0, neurons, BLOCK):
            size = min(BLOCK, neurons - start)
            for place in range(size):
                voltage[place] = _NONE
            for step in range(steps - 1, -1, -1):
                slope = gradient[member, step, start : start + size]
                value = membrane[member, step, start : start + size]
                fired = spikes[member, step, start : start + size]
                for place in range(size):
                    kept = (_NONE if fired[place] > _NONE else voltage[place]) * keep
                    distance = abs(value[place] - _ONE) * steepness + _ONE
                    kept = _fma(slope[place], _ONE / (distance * distance), kept)
                    voltage[place] = kept
                    slope[place] = kept


@compiled(error_model="numpy")
def output_gradient(from_rates: Any, from_membrane: Any, membrane: Any, spikes: Any, keep: Any, steepness: Any) -> None:
    """Gradient with respect to the drive of the output neurons (members, T, neurons), in place of `from_membrane`.

    from_rates (members, neurons): gradient of the spikes of every step.
    """
    members, steps, neurons = membrane.shape
    voltage = np.empty(neurons, np.float32)
    for member in range(members):
        for place in range(neurons):
            voltage[place] = _NONE
        for step in range(steps - 1, -1, -1):
            for place in range(neurons):
                kept = (_NONE if spikes[member, step, place] > _NONE else voltage[place]) * keep
                distance = abs(membrane[member, step, place] - _ONE) * steepness + _ONE
                kept = _fma(from_rates[member, place], _ONE / (distance * distance), kept)
                kept += from_membrane[member, step, place]
                voltage[place] = kept
                from_membrane[member, step, place] = kept


@compiled(error_model="numpy")
def proxy_activation(fraction: Any, values: Any, decay: Any, span: Any) -> None:
    """Activations of the rate proxy, flat. `fraction` has the drive; it becomes (drive - decay) / span."""
    for place in range(len(fraction)):
        value = (fraction[place] - decay) / span
        fraction[place] = value
        values[place] = min(max(value, _NONE), _ONE) + _LEAK * min(value, _NONE)


@compiled(error_model="numpy")
def proxy_gradient(gradient: Any, fraction: Any, span: Any) -> None:
    """Gradient with respect to the drive of the rate proxy, flat, in place of that of its activations."""
    for place in range(len(fraction)):
        value, slope = fraction[place], gradient[place]
        inside = slope if _NONE <= value <= _ONE else _NONE
        below = slope * _LEAK if value <= _NONE else _NONE
        gradient[place] = (inside + below) / span


@compiled(error_model="numpy")
def rate_code(uniform: Any, images: Any, spikes: Any) -> None:
    """Spikes (T, B) where numbers (T, B) are below the intensity of pixels (B,)."""
    for step in range(len(uniform)):
        for place in range(len(images)):
            spikes[step, place] = _ONE if uniform[step, place] < images[place] else _NONE


@compiled(error_model="numpy")
def adamw_moments(gradient: Any, mean: Any, square: Any, scale: Any, first: Any, second: Any, rest: Any) -> None:
    """Updates AdamW's moments of gradients (members, values). first, second, rest: 1 - beta1, beta2 and 1 - beta2.

    scale (members,): factor of the gradients.
    """
    members, values = gradient.shape
    for member in range(members):
        factor = scale[member]
        for place in range(values):
            slope = gradient[member, place] * factor
            average, spread = mean[member, place], square[member, place]
            mean[member, place] = _fma(first, slope - average, average)
            square[member, place] = _fma(rest * slope, slope, spread * second)


@compiled(error_model="numpy")
def adamw_weights(weights: Any, mean: Any, root: Any, shrink: Any, correction: Any, size: Any) -> None:
    """Takes one step of AdamW, flat. root: square roots of the second moment.

    shrink: 1 - rate * decay. correction: sqrt(1 - beta2^t). size: minus the rate over 1 - beta1^t.
    """
    for place in range(len(weights)):
        step = (size * mean[place]) / (root[place] / correction + _EPSILON)
        weights[place] = weights[place] * shrink + step
