"""What each frame of spikes adds to a layer's sums, as lists of inputs: the cheapest of four ways, chosen by counting.

    ones        start from nothing, add the rows of the inputs that spike
    zeros       start from the sum of all rows, subtract those of the inputs that do not
    previous    start from the sums of the step before, add what began to spike and subtract what ceased;
                an unchanged frame (a held query) costs nothing
    neighbour   the same for a sample's first step, from the first step of the sample before (a population of queries)

A frame is read eight bytes at a time: spikes are 0 or 1, so that one multiplication counts or gathers eight of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.int32_ops import store_pair

NOTHING, EVERYTHING, PREVIOUS = 0, 1, 2
"""What a frame's sums start from. PREVIOUS is the neighbour's for a sample's first step."""
GROUP = 8
"""Lists are padded to a multiple of this with an input whose weights are all zero."""
_SPREAD = np.uint64(0x0102040810204080)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_COUNT_PAIRS = np.uint64(0x0001000100010001)
_ALL = np.uint64(0x0101010101010101)
_TOP = np.uint64(56)
_EIGHT_TWICE = np.uint64(0x0000000800000008)
_MOST_ADDED = 255
"""Words of eight bytes 0 or 1 that can be added up before a byte overflows."""


def _offsets() -> Any:
    """Row b: the positions of the set bits of b, in the order of the bytes they came from."""
    table = np.zeros((256, GROUP), np.int32)
    for byte in range(256):
        found = [place for place in range(8) if byte >> place & 1]
        table[byte, : len(found)] = found
    return table.view(np.uint64)  # two entries a word


OFFSETS = _offsets()
COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.int32)


@compiled()
def _counted(words: Any, before: Any) -> tuple[int, int]:
    """How many inputs spike in `words`, and how many do not do what they did in `before`."""
    spiking: Any = 0
    changed: Any = 0
    for low in range(0, words.size, _MOST_ADDED):
        ones = np.uint64(0)
        others = np.uint64(0)
        for number in range(low, min(words.size, low + _MOST_ADDED)):
            ones += words[number]
            others += words[number] ^ before[number]
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
def gather(words: Any, lists: Any, at: int, pad: int, sparse: bool, offsets: Any, counts: Any) -> int:
    """Appends the inputs that spike in `words`; returns where the list ends. sparse: most words are empty."""
    base = np.uint64(0)
    for number in range(words.size):
        word = words[number]
        if not (sparse and word == np.uint64(0)):  # where half of them are empty, guessing costs more than writing
            bits = np.intp((word * _SPREAD) >> _TOP)
            # all loads before all stores: the compiler cannot know that the table is not written to
            first, second, third, fourth = offsets[bits, 0], offsets[bits, 1], offsets[bits, 2], offsets[bits, 3]
            store_pair(lists, at, first + base)
            store_pair(lists, at + 2, second + base)
            store_pair(lists, at + 4, third + base)
            store_pair(lists, at + 6, fourth + base)
            at += counts[bits]
        base += _EIGHT_TWICE
    while at % GROUP:
        lists[at] = pad
        at += 1
    return at


@compiled()
def _without_padding(lists: Any, begin: int, end: int, inputs: int) -> int:
    """A list without the bytes behind the last input, which are no inputs; padded again. Returns its end."""
    while end > begin and lists[end - 1] >= inputs:
        end -= 1
    while (end - begin) % GROUP:
        lists[end] = inputs
        end += 1
    return end


@compiled()
def plan_rows(
    frames: Any, inputs: int, held: bool, starts: Any, modes: Any, lists: Any, offsets: Any, counts: Any
) -> None:
    """Plans frames (T, B, words) of uint64, each 8 spikes, or (1, B, words) held; unused bytes are zero.

    starts: (B, T, 3), where each frame's additions begin, its subtractions begin, and they end. modes: (B, T). lists:
    room for 2 * GROUP + 8 * words * 2 a frame; inputs is the input without weights.
    """
    _, batch, width = frames.shape
    steps = modes.shape[1]
    chosen = np.empty(width, np.uint64)
    at = 0
    for sample in range(batch):
        for step in range(steps):
            starts[sample, step, 0] = at
            if held and step > 0:
                modes[sample, step] = PREVIOUS
                starts[sample, step, 1] = at
                starts[sample, step, 2] = at
                continue
            words = frames[step, sample]
            before = frames[step - 1, sample] if step > 0 else frames[0, max(sample - 1, 0)]
            spiking, changed = _counted(words, before)
            if step == 0 and sample == 0:
                changed = 8 * width
            silent = inputs - spiking
            sparse = 4 * min(spiking, silent, changed) < width
            if changed < spiking and changed < silent:
                modes[sample, step] = PREVIOUS
                for number in range(width):
                    chosen[number] = words[number] & ~before[number]
                at = gather(chosen, lists, at, inputs, sparse, offsets, counts)
                starts[sample, step, 1] = at
                for number in range(width):
                    chosen[number] = before[number] & ~words[number]
                at = gather(chosen, lists, at, inputs, sparse, offsets, counts)
            elif spiking <= silent:
                modes[sample, step] = NOTHING
                at = gather(words, lists, at, inputs, sparse, offsets, counts)
                starts[sample, step, 1] = at
            else:
                modes[sample, step] = EVERYTHING
                starts[sample, step, 1] = at
                for number in range(width):
                    chosen[number] = words[number] ^ _ALL
                at = gather(chosen, lists, at, inputs, sparse, offsets, counts)
                at = _without_padding(lists, starts[sample, step, 1], at, inputs)
            starts[sample, step, 2] = at
