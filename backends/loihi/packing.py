"""Spikes as bits, 64 a word: packs a target's input, which it checks in the same pass, and unpacks recorded spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.vectors import WORD, pack_word

Words = npt.NDArray[np.uint64]


@compiled()
def _pack(values: Any, words: Any) -> bool:
    """Packs values (T, B, M) into words (B, T, W). Returns whether every value is 0 or 1."""
    steps, batch, inputs = values.shape
    flat = values.reshape(-1)
    whole = inputs // WORD
    invalid = np.uint64(0)
    for step in range(steps):
        for sample in range(batch):
            start = (step * batch + sample) * inputs
            for number in range(whole):
                word, wrong = pack_word(flat, start + number * WORD)
                words[sample, step, number] = word
                invalid |= wrong
            if whole < words.shape[2]:
                rest = np.uint64(0)
                for place in range(whole * WORD, inputs):
                    value = flat[start + place]
                    if value != 0:
                        rest |= np.uint64(1) << np.uint64(place - whole * WORD)
                        if value != 1:
                            invalid |= np.uint64(1)
                words[sample, step, whole] = rest
    valid: bool = invalid == 0
    return valid


@compiled()
def _unpack(words: Any, first: int, positions: Any, values: Any) -> None:
    """Writes the bits at `positions` of words (B, T, W), from step `first` on, into bytes (T, B, N)."""
    steps, batch, size = values.shape
    for sample in range(batch):
        for step in range(steps):
            for place in range(size):
                position = positions[place]
                word = words[sample, step + first, position >> 6]
                values[step, sample, place] = np.uint8((word >> np.uint64(position & 63)) & np.uint64(1))


def words_of(bits: int) -> int:
    """The number of words for this many bits."""
    return -(-bits // WORD)


def packed(values: npt.NDArray[Any]) -> tuple[Words, bool]:
    """Contiguous bytes or floats (T, B, M) as bits (B, T, W), and whether every value is 0 or 1."""
    steps, batch, inputs = values.shape
    words = np.empty((batch, steps, words_of(inputs)), np.uint64)
    return words, bool(_pack(values, words))


def unpacked(words: Words, positions: npt.NDArray[np.int32], first: int = 0) -> npt.NDArray[np.uint8]:
    """The bits at `positions` (N,) of words (B, T, W), from step `first` on, as bytes (T, B, N)."""
    batch, steps, _ = words.shape
    values = np.empty((steps - first, batch, len(positions)), np.uint8)
    _unpack(words, first, positions, values)
    return values
