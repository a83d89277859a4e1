"""The weights that Loihi multiplies with: netx's encoding of a dense matrix, and Lava's clipping and truncation.

netx reads a dense matrix, scales it up by a power of two to use the 8 bits of a synapse, and states how many bits
store it; Lava derives the sign mode again, clips, truncates low bits, and shifts the accumulated sum back down.
Source: lava-dl 0.6.0 `netx.utils.optimize_weight_bits`, lava-nc 0.10.0 `lava.utils.weightutils`.
"""

from __future__ import annotations

import math

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray


def stored_weights(weight: IntArray) -> tuple[IntArray, int]:
    """The integers stored in the synapses, and the right shift applied to every sum of them.

    weight: (out, in) integers as netx reads them from the file, not all zero.
    """
    (stored,), shift = stored_together([weight])
    return stored, shift


def stored_together(weights: list[IntArray]) -> tuple[list[IntArray], int]:
    """Like `stored_weights`, for matrices (out, in) that netx encodes jointly, as it does for recurrent synapses.

    netx chooses one shift and one number of bits for all of them; Lava derives the sign mode of each matrix separately.
    """
    stacked = np.hstack(weights)
    low, high = int(stacked.min()), int(stacked.max())
    if low < 0 < high and (high > 254 or low < -256):
        stacked = np.clip(stacked, -256, 254)
        low, high = int(stacked.min()), int(stacked.max())
    mixed = low < 0 <= high
    shift = _scale_bits(low, high, mixed)
    lost_bits = shift + _shared_zero_bits(stacked) - mixed
    scaled = stacked << shift if shift >= 0 else stacked * 0  # netx shifts int32 by a negative count, which clears it
    parts = np.split(scaled, np.cumsum([weight.shape[1] for weight in weights])[:-1], axis=1)
    return [_clipped_and_truncated(part, lost_bits) for part in parts], shift


def effective_weights(weight: IntArray) -> FloatArray:
    """The stored weights as real numbers, before the accumulated sum is rounded down."""
    stored, shift = stored_weights(weight)
    return np.ldexp(stored.astype(np.float64), -shift)


def survives_encoding(weight: IntArray) -> bool:
    """Whether netx's encoding keeps these dense weights exactly."""
    return survive_together([weight])


def survive_together(weights: list[IntArray]) -> bool:
    """Whether netx's joint encoding keeps these matrices (out, in) exactly."""
    if not any(weight.any() for weight in weights):
        return False  # netx raises on matrices of zeros
    stored, shift = stored_together(weights)
    return shift >= 0 and all(bool((part == weight << shift).all()) for part, weight in zip(stored, weights))


def _scale_bits(low: int, high: int, mixed: bool) -> int:
    if mixed:
        room = min(127 / high if high > 0 else math.inf, -128 / low)
    elif high < 0:
        room = -256 / low
    else:
        room = 255 / high
    return math.floor(math.log2(room)) + mixed


def _shared_zero_bits(weight: IntArray) -> int:
    """Number of low bits that are zero in every weight, at most 8."""
    used_bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    return min(8, (used_bits & -used_bits).bit_length() - 1) if used_bits else 8


def _clipped_and_truncated(weight: IntArray, lost_bits: int) -> IntArray:
    if weight.min() >= 0:
        return np.clip(weight, 0, 255) >> lost_bits << lost_bits
    if weight.max() <= 0:
        return -(np.clip(-weight, 0, 255) >> lost_bits << lost_bits)
    lost_bits += 1
    return np.clip(weight, -256, 255) >> lost_bits << lost_bits
