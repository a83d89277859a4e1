"""The inputs to add to a layer's sums for each frame of spikes, as lists; uses the cheapest of four methods.

    ones        start from zero, add the rows of the inputs that spike
    zeros       start from the sum of all rows, subtract the rows of the inputs that do not spike
    previous    start from the sums of the previous step, add the rows of inputs that start to spike and subtract those
                of inputs that stop; an unchanged frame costs nothing
    neighbour   like `previous`, for a sample's first step, from the first step of the previous sample

A word of 64 spikes is compared and counted at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.vectors import WORD, count_bits, lowest_bit

NOTHING, EVERYTHING, PREVIOUS = 0, 1, 2
"""Start value of a frame's sums. For a sample's first step, PREVIOUS means the previous sample's first step."""
_ONE = np.uint64(1)
AT_ONCE = 8
"""Number of bits that are listed at once."""


@compiled(forceinline=True)
def list_bits(word: Any, base: int, lists: Any, end: int) -> int:
    """Appends the positions of the set bits of a word, from `base` on. Returns where the list ends.

    Up to AT_ONCE entries behind the end are overwritten: the processor predicts a loop over groups of bits, but not one
    over bits.
    """
    count: int = count_bits(word)
    for place in range(end, end + count, AT_ONCE):
        for number in range(AT_ONCE):
            lists[place + number] = base + lowest_bit(word)
            word &= word - _ONE
    return end + count


@compiled(forceinline=True)
def _count_changes(words: Any, previous: Any) -> tuple[int, int, int]:
    """Number of inputs that spike, that spike and did not before, and that spiked before and do not."""
    spiking: int = 0
    begun: int = 0
    ended: int = 0
    for number in range(words.size):
        word, other = words[number], previous[number]
        spiking += count_bits(word)
        begun += count_bits(word & ~other)
        ended += count_bits(other & ~word)
    return spiking, begun, ended


@compiled()
def plan_rows(
    frames: Any, mask: Any, inputs: int, first: int, last: int, starts: Any, modes: Any, lists: Any
) -> None:  # fmt: skip
    """Plans the samples from `first` to before `last` of frames (B, T, W) of bits, or (B, 1, W) that are repeated.

    mask: (W,), the bits that are inputs; inputs: their number. starts: (samples, T, 3), the positions in `lists` where
    a frame's additions start, its subtractions start, and they end. modes: (samples, T). lists: at least inputs / 2 + 1
    entries for each frame, and AT_ONCE more.
    """
    constant = frames.shape[1] < modes.shape[1]
    width = frames.shape[2]
    end = 0
    for sample in range(first, last):
        for step in range(modes.shape[1]):
            place = starts[sample - first, step]
            place[0] = end
            if constant and step > 0:
                modes[sample - first, step] = PREVIOUS
                place[1] = place[2] = end
                continue
            words = frames[sample, step]
            previous = frames[sample, step - 1] if step > 0 else frames[max(sample - 1, 0), 0]
            spiking, begun, ended = _count_changes(words, previous)
            changed = begun + ended if step > 0 or sample > 0 else inputs + 1
            silent = inputs - spiking
            if changed < spiking and changed < silent:
                modes[sample - first, step] = PREVIOUS
                for number in range(width):
                    end = list_bits(words[number] & ~previous[number], number * WORD, lists, end)
                place[1] = end
                for number in range(width):
                    end = list_bits(previous[number] & ~words[number], number * WORD, lists, end)
            elif spiking <= silent:
                modes[sample - first, step] = NOTHING
                for number in range(width):
                    end = list_bits(words[number], number * WORD, lists, end)
                place[1] = end
            else:
                modes[sample - first, step] = EVERYTHING
                place[1] = end
                for number in range(width):
                    end = list_bits(~words[number] & mask[number], number * WORD, lists, end)
            place[2] = end
