"""The scale of a layer's integers: the threshold mantissa that loses least of its weights and biases.

A neuron does not change when weights, bias and threshold are scaled together, so the threshold mantissa m may be any
whole number at which everything fits. At m, weights lie on a grid of 2/m thresholds and biases on one of 1/m. The grid
of 2m holds that of m: the least loss is at one of the upper half of the mantissas that fit, and only these are tried.

Up to a mantissa of 4095 SLAYER computes what Loihi does. Where small weights lose more than `NEGLIGIBLE` there, a layer
takes one of Loihi's larger mantissas, up to where the strongest input makes its current reach 24 bits.
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.layers import Conv, Dense, Shape
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX

WEIGHT_LIMIT = 254
THRESHOLD_LIMIT = 4095
"""Largest mantissa at which SLAYER, in float32, sees that a voltage equals its threshold."""
LOIHI_LIMIT = THRESHOLD_MAX - 2
"""Largest mantissa that a voltage can exceed: Loihi holds it in 24 bits, in units of 1 / 64."""
NEGLIGIBLE = 0.02
"""Loss (see `rounding_loss`) for which SLAYER is not given up; weights that fill 8 bits lose about half of it."""
TRIED = 2**11
"""Most mantissas that are tried."""
BIAS_LIMIT = 2**15 - 1
SAMPLE = 2**14
"""How many values all mantissas are tried on; the best few are then tried on all values."""
FINALISTS = 8
DIGITS = 12
"""Losses that agree to so many decimals are the same, but for rounding: the larger mantissa is taken."""


def best_mantissa(layer: Dense | Conv, shape: Shape) -> int:
    """The threshold in Loihi's units at which weights and biases lose least; 0 where they fit at none.

    A layer that already holds Loihi's integers keeps them.
    """
    if is_fixed_point(layer):
        return int(layer.neuron.threshold.flat[0])
    largest = largest_mantissa(layer, shape)
    if largest == 0:
        return 0
    found = _best_of_upper_half(layer, shape, largest)
    if rounding_loss(layer, shape, found) <= NEGLIGIBLE:
        return found
    further = largest_mantissa(layer, shape, _limit_by_current(layer, shape))
    return _best_of_upper_half(layer, shape, further) if further > largest else found


def _best_of_upper_half(layer: Dense | Conv, shape: Shape, largest: int) -> int:
    weight = largest_weight(layer, shape)
    tried = range(largest // 2 + 1, largest + 1, 1 + largest // 2 // TRIED)
    ranked = [m for m in tried if _survives(layer, weight, m)]
    values, grid = _values(layer, shape)
    every = max(1, values.size // SAMPLE)
    for part in (slice(None, None, every), slice(None)):
        losses = {m: _loss(values[part], grid[part], m) for m in {*ranked, largest}}
        ranked = sorted(losses, key=lambda m: (round(losses[m], DIGITS), -m))[:FINALISTS]
    return ranked[0]


def _limit_by_current(layer: Dense | Conv, shape: Shape) -> int:
    """The largest mantissa at which no spikes whatsoever make a current wrap: it has 24 bits, in units of 1 / 64.

    Rounding moves each weight by one at most, and the current is at most its largest input times 1 / current_decay.
    """
    rows = relative_weight(layer, shape).reshape(layer.weight.shape[0], -1)
    strongest = max(float(np.maximum(sign * rows, 0).sum(axis=1).max()) for sign in (1, -1))
    decay = float(np.round(DECAY_ONE * layer.neuron.current_decay).min()) / DECAY_ONE
    room = (THRESHOLD_MAX - 1) * decay - rows.shape[1]
    return int(np.clip(room / strongest, THRESHOLD_LIMIT, LOIHI_LIMIT)) if strongest > 0 else THRESHOLD_LIMIT


def largest_mantissa(layer: Dense | Conv, shape: Shape, limit: int = THRESHOLD_LIMIT) -> int:
    """The largest mantissa, up to `limit`, at which the weights and biases fit; 0 where they do at none."""
    largest, largest_bias = largest_weight(layer, shape), float(np.abs(relative_bias(layer, shape)).max())
    limits = [float(limit)]
    limits += [WEIGHT_LIMIT / largest] if largest > 0 else []
    limits += [BIAS_LIMIT / largest_bias] if largest_bias > 0 else []
    mantissa = int(min(limits))
    if mantissa and not _survives(layer, largest, mantissa):
        return int((_held(largest, mantissa) - 1.5) / largest) or mantissa
    return mantissa


def rounding_loss(layer: Dense | Conv, shape: Shape, mantissa: int) -> float:
    """Root mean square rounding error of weights and biases at a mantissa, as a fraction of theirs."""
    return _loss(*_values(layer, shape), mantissa)


def row_threshold(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Threshold of each row of weights, (out,)."""
    return layer.neuron.expanded("threshold", shape).reshape(layer.weight.shape[0], -1)[:, 0]


def largest_weight(layer: Dense | Conv, shape: Shape) -> float:
    """The largest |weight| as a multiple of its neuron's threshold."""
    return float(np.abs(relative_weight(layer, shape)).max())


def relative_weight(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Weights as multiples of their neuron's threshold."""
    with np.errstate(over="ignore"):
        return layer.weight / row_threshold(layer, shape).reshape(-1, *[1] * (layer.weight.ndim - 1))


def relative_bias(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Bias of each neuron as a multiple of its threshold, of the layer's shape."""
    with np.errstate(over="ignore"):
        return layer.neuron.expanded("bias", shape) / layer.neuron.expanded("threshold", shape)


def is_fixed_point(layer: Dense | Conv) -> bool:
    """Whether weights, threshold and bias are integers that Loihi holds as they are."""
    thresholds = np.unique(layer.neuron.threshold)
    bias = layer.neuron.bias
    return (
        thresholds.size == 1
        and 0 < thresholds[0] <= THRESHOLD_LIMIT
        and thresholds[0] == np.round(thresholds[0])
        and bool((np.abs(layer.weight) <= WEIGHT_LIMIT).all())
        and bool((layer.weight == 2 * np.round(layer.weight / 2)).all())
        and bool(((bias == np.round(bias)) & (np.abs(bias) <= BIAS_LIMIT)).all())
    )


def _values(layer: Dense | Conv, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Weights and biases as multiples of the threshold, and the step of each one's grid in units of 1 / mantissa."""
    weight, bias = relative_weight(layer, shape).ravel(), relative_bias(layer, shape).ravel()
    if layer.neuron.bias.size < bias.size:  # given a channel or once: it counts once a row
        bias = relative_bias(layer, shape).reshape(shape[0], -1)[:, 0]
    return np.concatenate([weight, bias]), np.repeat([2.0, 1.0], [weight.size, bias.size])


def _loss(values: FloatArray, grid: FloatArray, mantissa: int) -> float:
    units = values / grid * mantissa
    error = (np.round(units) - units) * grid / mantissa
    power = float(values @ values)
    return float(np.sqrt(error @ error / power)) if power > 0 else 0.0


def _held(largest: float, mantissa: int) -> int:
    return 2 * round(largest * mantissa / 2)


def _survives(layer: Dense | Conv, largest: float, mantissa: int) -> bool:
    """Whether netx keeps the weights: it does not where a dense layer inhibits alone, down to a power of two."""
    held = _held(largest, mantissa)
    return isinstance(layer, Conv) or bool(layer.weight.max() > 0) or held == 0 or held & (held - 1) != 0
