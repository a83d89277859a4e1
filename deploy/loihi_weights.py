"""What Loihi really multiplies with: netx's encoding of a dense weight matrix, and Lava's clipping and truncation.

netx reads a dense matrix, scales it up by a power of two to use the synapse's 8 bits, and says with how many bits it
is stored; Lava derives the sign mode again, clips, truncates low bits, and shifts the accumulated sum back down.
Source: lava-dl 0.6.0 `netx.utils.optimize_weight_bits`, lava-nc 0.10.0 `lava.utils.weightutils`.
"""

from __future__ import annotations

import math

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray


def stored_weights(weight: IntArray) -> tuple[IntArray, int]:
    """The integers held in the synapses, and the right shift applied to every sum of them.

    weight: (out, in) integers as netx reads them from the file, not all zero.
    """
    (stored,), shift = stored_together([weight])
    return stored, shift


def stored_together(weights: list[IntArray]) -> tuple[list[IntArray], int]:
    """The same for matrices (out, in) that netx encodes side by side, as it does with recurrent synapses.

    netx finds one shift and one number of bits for all of them; Lava derives the sign mode of each by itself.
    """
    together = np.hstack(weights)
    low, high = int(together.min()), int(together.max())
    if low < 0 < high and (high > 254 or low < -256):
        together = np.clip(together, -256, 254)
        low, high = int(together.min()), int(together.max())
    mixed = low < 0 <= high
    shift = _scale_bits(low, high, mixed)
    lost = shift + _shared_zero_bits(together) - mixed
    scaled = together << shift if shift >= 0 else together * 0  # netx shifts int32 by a negative count: all bits go
    parts = np.split(scaled, np.cumsum([weight.shape[1] for weight in weights])[:-1], axis=1)
    return [_clipped_and_truncated(part, lost) for part in parts], shift


def effective_weights(weight: IntArray) -> FloatArray:
    """The weights of one spike as real numbers: what the stored integers stand for before the sum is rounded down."""
    stored, shift = stored_weights(weight)
    return np.ldexp(stored.astype(np.float64), -shift)


def survives_encoding(weight: IntArray) -> bool:
    """Whether Loihi computes with exactly these dense weights."""
    if not weight.any():
        return False  # netx raises on a matrix of zeros
    stored, shift = stored_weights(weight)
    return shift >= 0 and bool((stored == weight << shift).all())


def _scale_bits(low: int, high: int, mixed: bool) -> int:
    if mixed:
        room = min(127 / high if high > 0 else math.inf, -128 / low)
    elif high < 0:
        room = -256 / low
    else:
        room = 255 / high
    return math.floor(math.log2(room)) + mixed


def _shared_zero_bits(weight: IntArray) -> int:
    """How many low bits are zero in every weight, 8 at most."""
    seen = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    return min(8, (seen & -seen).bit_length() - 1) if seen else 8


def _clipped_and_truncated(weight: IntArray, lost_bits: int) -> IntArray:
    if weight.min() >= 0:
        return np.clip(weight, 0, 255) >> lost_bits << lost_bits
    if weight.max() <= 0:
        return -(np.clip(-weight, 0, 255) >> lost_bits << lost_bits)
    lost_bits += 1
    return np.clip(weight, -256, 255) >> lost_bits << lost_bits
