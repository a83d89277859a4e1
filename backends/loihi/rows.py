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

import numba
import numpy as np

NOTHING, EVERYTHING, PREVIOUS = 0, 1, 2
"""What a frame's sums start from. PREVIOUS is the neighbour's for a sample's first step."""
GROUP = 8
"""Lists are padded to a multiple of this with an input whose weights are all zero."""
_SPREAD = np.uint64(0x0102040810204080)
_COUNT = np.uint64(0x0101010101010101)
_TOP = np.uint64(56)


def _offsets() -> Any:
    """Row b: the positions of the set bits of b, in the order of the bytes they came from."""
    table = np.zeros((256, GROUP), np.int32)
    for byte in range(256):
        found = [place for place in range(8) if byte >> place & 1]
        table[byte, : len(found)] = found
    return table


OFFSETS = _offsets()
COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.int32)


@numba.njit(nogil=True, cache=True, boundscheck=False)
def _gather(
    words: Any, mask: Any, flip: Any, other: Any, lists: Any, at: int, pad: int, offsets: Any, counts: Any
) -> int:
    """Appends the inputs whose bit is set in (words ^ flip) & (other ^ mask); returns where the list ends."""
    base = np.int32(0)
    for number in range(words.size):
        word = (words[number] ^ flip) & (other[number] ^ mask)
        if word != np.uint64(0):
            bits = np.intp((word * _SPREAD) >> _TOP)
            for place in range(GROUP):
                lists[at + place] = offsets[bits, place] + base
            at += counts[bits]
        base += np.int32(8)
    while at % GROUP:
        lists[at] = pad
        at += 1
    return at


@numba.njit(nogil=True, cache=True, boundscheck=False)
def plan_rows(
    frames: Any, inputs: int, held: bool, starts: Any, modes: Any, lists: Any, offsets: Any, counts: Any
) -> None:
    """Plans frames (T, B, words) of uint64, each 8 spikes, or (1, B, words) held; unused bytes are zero.

    starts: (B, T, 3), where each frame's additions begin, its subtractions begin, and they end. modes: (B, T). lists:
    room for 2 * GROUP + 8 * words * 2 a frame; inputs is the input without weights.
    """
    _, batch, width = frames.shape
    steps = modes.shape[1]
    everything = np.uint64(0x0101010101010101)
    none = np.uint64(0)
    at = 0
    for sample in range(batch):
        for step in range(steps):
            words = frames[step, sample]
            starts[sample, step, 0] = at
            if held and step > 0:
                modes[sample, step] = PREVIOUS
                starts[sample, step, 1] = at
                starts[sample, step, 2] = at
                continue
            before = frames[step - 1, sample] if step > 0 else frames[0, max(sample - 1, 0)]
            spiking: Any = 0
            changed: Any = 0
            for number in range(width):
                spiking += np.intp((words[number] * _COUNT) >> _TOP)
                changed += np.intp(((words[number] ^ before[number]) * _COUNT) >> _TOP)
            if step == 0 and sample == 0:
                changed = 8 * width
            silent = inputs - spiking
            if changed < spiking and changed < silent:
                modes[sample, step] = PREVIOUS
                at = _gather(words, everything, none, before, lists, at, inputs, offsets, counts)
                starts[sample, step, 1] = at
                at = _gather(words, none, everything, before, lists, at, inputs, offsets, counts)
            elif spiking <= silent:
                modes[sample, step] = NOTHING
                at = _gather(words, none, none, words, lists, at, inputs, offsets, counts)
                starts[sample, step, 1] = at
            else:
                modes[sample, step] = EVERYTHING
                starts[sample, step, 1] = at
                at = _gather(words, everything, everything, words, lists, at, inputs, offsets, counts)
                # bytes behind the last input are not inputs, and are not spiking
                while at > starts[sample, step, 1] and lists[at - 1] >= inputs:
                    at -= 1
                while (at - starts[sample, step, 1]) % GROUP:
                    lists[at] = inputs
                    at += 1
            starts[sample, step, 2] = at
