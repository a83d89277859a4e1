"""The inputs to add to a layer's sums for each frame of spikes, as lists; uses the cheapest of four methods.

    ones        start from zero, add the rows of the inputs that spike
    zeros       start from the sum of all rows, subtract the rows of the inputs that do not spike
    previous    start from the sums of the previous step, add the rows of inputs that start to spike and subtract those
                of inputs that stop; an unchanged frame costs nothing
    neighbour   like `previous`, for a sample's first step, from the first step of the previous sample

A frame is read eight bytes at a time: spikes are 0 or 1, so one multiplication counts or gathers eight of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.int32_ops import store_pair

NOTHING, EVERYTHING, PREVIOUS = 0, 1, 2
"""Start value of a frame's sums. For a sample's first step, PREVIOUS means the previous sample's first step."""
GROUP = 8
"""Lists are padded to a multiple of this with an input whose weights are all zero."""
_SPREAD = np.uint64(0x0102040810204080)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_COUNT_PAIRS = np.uint64(0x0001000100010001)
_ALL = np.uint64(0x0101010101010101)
_TOP = np.uint64(56)
_EIGHT_TWICE = np.uint64(0x0000000800000008)
_MAX_ADDED = 255
"""Number of words of eight bytes 0 or 1 that can be added before a byte overflows."""


def _offsets() -> Any:
    """Row b: the positions of the set bits of b, in ascending order."""
    table = np.zeros((256, GROUP), np.int32)
    for byte in range(256):
        set_bits = [place for place in range(8) if byte >> place & 1]
        table[byte, : len(set_bits)] = set_bits
    return table.view(np.uint64)  # two entries per word


OFFSETS = _offsets()
COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.int32)


@compiled()
def _counted(words: Any, previous: Any) -> tuple[int, int]:
    """Number of inputs that spike in `words`, and number of inputs that differ from `previous`."""
    spiking: Any = 0
    changed: Any = 0
    for low in range(0, words.size, _MAX_ADDED):
        ones = np.uint64(0)
        others = np.uint64(0)
        for number in range(low, min(words.size, low + _MAX_ADDED)):
            ones += words[number]
            others += words[number] ^ previous[number]
        spiking += _bytes_added(ones)
        changed += _bytes_added(others)
    return spiking, changed


@compiled(inline="always")
def _bytes_added(word: Any) -> Any:
    """The sum of the eight bytes of `word`, each at most 255."""
    even = word & _EVEN_BYTES
    odd = (word >> np.uint64(8)) & _EVEN_BYTES
    return np.intp(((even + odd) * _COUNT_PAIRS) >> np.uint64(48))


@compiled()
def gather(words: Any, lists: Any, end: int, pad: int, sparse: bool, offsets: Any, counts: Any) -> int:
    """Appends the inputs that spike in `words`; returns where the list ends. sparse: most words are empty."""
    base = np.uint64(0)
    for number in range(words.size):
        word = words[number]
        if not (sparse and word == np.uint64(0)):  # if half are empty, the branch costs more than the writes
            bits = np.intp((word * _SPREAD) >> _TOP)
            # all loads before all stores, since the compiler must assume that the stores change the table
            first, second, third, fourth = offsets[bits, 0], offsets[bits, 1], offsets[bits, 2], offsets[bits, 3]
            store_pair(lists, end, first + base)
            store_pair(lists, end + 2, second + base)
            store_pair(lists, end + 4, third + base)
            store_pair(lists, end + 6, fourth + base)
            end += counts[bits]
        base += _EIGHT_TWICE
    while end % GROUP:
        lists[end] = pad
        end += 1
    return end


@compiled()
def _without_padding(lists: Any, begin: int, end: int, inputs: int) -> int:
    """Removes padding bytes beyond the last input from a list and pads it again. Returns its end."""
    while end > begin and lists[end - 1] >= inputs:
        end -= 1
    while (end - begin) % GROUP:
        lists[end] = inputs
        end += 1
    return end


@compiled()
def plan_rows(
    frames: Any, inputs: int, constant: bool, starts: Any, modes: Any, lists: Any, offsets: Any, counts: Any
) -> None:
    """Plans frames (T, B, words) of uint64, 8 spikes each, or (1, B, words) if `constant`; unused bytes are zero.

    starts: (B, T, 3), the positions in `lists` where a frame's additions start, its subtractions start, and they end.
    modes: (B, T). lists: needs 2 * GROUP + 8 * words * 2 entries per frame. inputs: number of inputs, and the index of
    the padding input.
    """
    _, batch, width = frames.shape
    steps = modes.shape[1]
    chosen = np.empty(width, np.uint64)
    end = 0
    for sample in range(batch):
        for step in range(steps):
            starts[sample, step, 0] = end
            if constant and step > 0:
                modes[sample, step] = PREVIOUS
                starts[sample, step, 1] = end
                starts[sample, step, 2] = end
                continue
            words = frames[step, sample]
            previous = frames[step - 1, sample] if step > 0 else frames[0, max(sample - 1, 0)]
            spiking, changed = _counted(words, previous)
            if step == 0 and sample == 0:
                changed = 8 * width
            silent = inputs - spiking
            sparse = 4 * min(spiking, silent, changed) < width
            if changed < spiking and changed < silent:
                modes[sample, step] = PREVIOUS
                for number in range(width):
                    chosen[number] = words[number] & ~previous[number]
                end = gather(chosen, lists, end, inputs, sparse, offsets, counts)
                starts[sample, step, 1] = end
                for number in range(width):
                    chosen[number] = previous[number] & ~words[number]
                end = gather(chosen, lists, end, inputs, sparse, offsets, counts)
            elif spiking <= silent:
                modes[sample, step] = NOTHING
                end = gather(words, lists, end, inputs, sparse, offsets, counts)
                starts[sample, step, 1] = end
            else:
                modes[sample, step] = EVERYTHING
                starts[sample, step, 1] = end
                for number in range(width):
                    chosen[number] = words[number] ^ _ALL
                end = gather(chosen, lists, end, inputs, sparse, offsets, counts)
                end = _without_padding(lists, starts[sample, step, 1], end, inputs)
            starts[sample, step, 2] = end
