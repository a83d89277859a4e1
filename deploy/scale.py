"""The scale of a layer's integers: the threshold mantissa with the least rounding error of weights and biases.

A neuron's spikes do not change when weights, bias and threshold are scaled together, so the threshold mantissa m may be
any integer at which all values fit. At m, weights lie on a grid with spacing 2/m thresholds and biases on one with
spacing 1/m. The grid of 2m contains that of m, so the smallest error occurs in the upper half of the mantissas that
fit, and only these are tried.

Up to a mantissa of 4095 SLAYER computes exactly what Loihi does. If the error there exceeds `NEGLIGIBLE`, a layer uses
one of Loihi's larger mantissas, up to the one at which the strongest input makes the current reach 24 bits.
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.layers import Conv, Dense, Shape
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX

WEIGHT_LIMIT = 254
THRESHOLD_LIMIT = 4095
"""Largest mantissa at which SLAYER's float32 comparison of voltage and threshold is exact."""
LOIHI_LIMIT = THRESHOLD_MAX - 2
"""Largest mantissa that a voltage can exceed: Loihi stores voltages in 24 bits, in units of 1 / 64."""
NEGLIGIBLE = 0.02
"""Loss (see `rounding_loss`) up to which the layer stays within SLAYER's range; weights that use all 8 bits lose about
half of it."""
MAX_CANDIDATES = 2**11
"""Maximum number of mantissas tried."""
BIAS_LIMIT = 2**15 - 1
SAMPLE = 2**14
"""Number of values used to rank all mantissas; the best few are then compared on all values."""
FINALISTS = 8
DIGITS = 12
"""Losses that agree to this many decimals count as equal; the larger mantissa is then used."""


def best_mantissa(layer: Dense | Conv, shape: Shape) -> int:
    """The threshold mantissa with the smallest rounding error of weights and biases; 0 if they fit at none.

    A layer that already holds Loihi's integers keeps them.
    """
    if is_fixed_point(layer):
        return int(layer.neuron.threshold.flat[0])
    largest = largest_mantissa(layer, shape)
    if largest == 0:
        return 0
    mantissa = _best_of_upper_half(layer, shape, largest)
    if rounding_loss(layer, shape, mantissa) <= NEGLIGIBLE:
        return mantissa
    further = largest_mantissa(layer, shape, _limit_by_current(layer, shape))
    return _best_of_upper_half(layer, shape, further) if further > largest else mantissa


def _best_of_upper_half(layer: Dense | Conv, shape: Shape, largest: int) -> int:
    weight = largest_weight(layer, shape)
    candidates = range(largest // 2 + 1, largest + 1, 1 + largest // 2 // MAX_CANDIDATES)
    ranked = [m for m in candidates if _survives(layer, weight, m)]
    values, grid = _values(layer, shape)
    stride = max(1, values.size // SAMPLE)
    for part in (slice(None, None, stride), slice(None)):
        losses = {m: _loss(values[part], grid[part], m) for m in {*ranked, largest}}
        ranked = sorted(losses, key=lambda m: (round(losses[m], DIGITS), -m))[:FINALISTS]
    return ranked[0]


def _limit_by_current(layer: Dense | Conv, shape: Shape) -> int:
    """The largest mantissa at which no input makes a current overflow its 24 bits, in units of 1 / 64.

    Rounding changes each weight by at most one, and the current is at most its largest input times 1 / current_decay.
    """
    rows = relative_weight(layer, shape).reshape(layer.weight.shape[0], -1)
    strongest = max(float(np.maximum(sign * rows, 0).sum(axis=1).max()) for sign in (1, -1))
    decay = float(np.round(DECAY_ONE * layer.neuron.current_decay).min()) / DECAY_ONE
    room = (THRESHOLD_MAX - 1) * decay - rows.shape[1]
    return int(np.clip(room / strongest, THRESHOLD_LIMIT, LOIHI_LIMIT)) if strongest > 0 else THRESHOLD_LIMIT


def largest_mantissa(layer: Dense | Conv, shape: Shape, limit: int = THRESHOLD_LIMIT) -> int:
    """The largest mantissa, up to `limit`, at which the weights and biases fit; 0 if there is none."""
    largest, largest_bias = largest_weight(layer, shape), float(np.abs(relative_bias(layer, shape)).max())
    limits = [float(limit)]
    limits += [WEIGHT_LIMIT / largest] if largest > 0 else []
    limits += [BIAS_LIMIT / largest_bias] if largest_bias > 0 else []
    mantissa = int(min(limits))
    if mantissa and not _survives(layer, largest, mantissa):
        return int((_quantized_largest(largest, mantissa) - 1.5) / largest) or mantissa
    return mantissa


def rounding_loss(layer: Dense | Conv, shape: Shape, mantissa: int) -> float:
    """Root mean square rounding error of weights and biases at a mantissa, as a fraction of their root mean square."""
    return _loss(*_values(layer, shape), mantissa)


def row_threshold(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Threshold of each row of weights, (out,)."""
    threshold: FloatArray = layer.neuron.expanded("threshold", shape)
    return threshold.reshape(layer.weight.shape[0], -1)[:, 0]


def largest_weight(layer: Dense | Conv, shape: Shape) -> float:
    """The largest |weight| as a multiple of its neuron's threshold."""
    return float(np.abs(relative_weight(layer, shape)).max())


def relative_weight(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Weights as multiples of their neuron's threshold."""
    with np.errstate(over="ignore"):
        return layer.weight / row_threshold(layer, shape).reshape(-1, *[1] * (layer.weight.ndim - 1))


def relative_bias(layer: Dense | Conv, shape: Shape) -> FloatArray:
    """Bias of each neuron as a multiple of its threshold, in the layer's shape."""
    with np.errstate(over="ignore"):
        relative: FloatArray = layer.neuron.expanded("bias", shape) / layer.neuron.expanded("threshold", shape)
        return relative


def is_fixed_point(layer: Dense | Conv) -> bool:
    """Whether weights, threshold and bias are integers that Loihi holds without change."""
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
    """Weights and biases as multiples of the threshold, and the spacing of their grids in units of 1 / mantissa."""
    weight, bias = relative_weight(layer, shape).ravel(), relative_bias(layer, shape).ravel()
    if layer.neuron.bias.size < bias.size:  # one value per channel, or a scalar: it counts once per row
        bias = relative_bias(layer, shape).reshape(shape[0], -1)[:, 0]
    return np.concatenate([weight, bias]), np.repeat([2.0, 1.0], [weight.size, bias.size])


def _loss(values: FloatArray, grid: FloatArray, mantissa: int) -> float:
    units = values / grid * mantissa
    error = (np.round(units) - units) * grid / mantissa
    power = float(values @ values)
    return float(np.sqrt(error @ error / power)) if power > 0 else 0.0


def _quantized_largest(largest: float, mantissa: int) -> int:
    return 2 * round(largest * mantissa / 2)


def _survives(layer: Dense | Conv, largest: float, mantissa: int) -> bool:
    """Whether netx keeps the weights: it loses those of an all-inhibitory dense layer whose largest is a power of 2."""
    quantized = _quantized_largest(largest, mantissa)
    return isinstance(layer, Conv) or bool(layer.weight.max() > 0) or quantized == 0 or quantized & (quantized - 1) != 0
