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
_ZERO = np.uint64(0)


@compiled(forceinline=True)
def list_bits(word: Any, base: int, lists: Any, end: int) -> int:
    """Appends the positions of the set bits of a word, from `base` on. Returns where the list ends."""
    while word != _ZERO:
        lists[end] = base + lowest_bit(word)
        word &= word - _ONE
        end += 1
    return end


@compiled()
def _choose(frames: Any, mask: Any, constant: bool, modes: Any, starts: Any) -> int:
    """Chooses each frame's method and where its lists start and end. Returns the length of all lists."""
    batch, _, width = frames.shape
    steps = modes.shape[1]
    inputs = 0
    for number in range(width):
        inputs += count_bits(mask[number])
    end = 0
    for sample in range(batch):
        for step in range(steps):
            starts[sample, step, 0] = starts[sample, step, 1] = end
            if constant and step > 0:
                modes[sample, step] = PREVIOUS
                starts[sample, step, 2] = end
                continue
            words = frames[sample, step]
            previous = frames[sample, step - 1] if step > 0 else frames[max(sample - 1, 0), 0]
            spiking = begun = ended = 0
            for number in range(width):
                word, other = words[number], previous[number]
                spiking += count_bits(word)
                begun += count_bits(word & ~other)
                ended += count_bits(other & ~word)
            changed = begun + ended if step > 0 or sample > 0 else inputs + 1
            silent = inputs - spiking
            if changed < spiking and changed < silent:
                modes[sample, step] = PREVIOUS
                starts[sample, step, 1] = end + begun
                end += changed
            elif spiking <= silent:
                modes[sample, step] = NOTHING
                end += spiking
                starts[sample, step, 1] = end
            else:
                modes[sample, step] = EVERYTHING
                end += silent
            starts[sample, step, 2] = end
    return end


@compiled()
def plan_rows(frames: Any, mask: Any, constant: bool, starts: Any, modes: Any) -> Any:
    """Plans frames (B, T, W) of bits, or (B, 1, W) if `constant`. Returns the lists, int32.

    mask: (W,), the bits that are inputs. starts: (B, T, 3), the positions in the lists where a frame's additions start,
    its subtractions start, and they end. modes: (B, T).
    """
    batch, _, width = frames.shape
    lists = np.empty(_choose(frames, mask, constant, modes, starts), np.int32)
    for sample in range(batch):
        for step in range(1 if constant else modes.shape[1]):
            words, mode, end = frames[sample, step], modes[sample, step], starts[sample, step, 0]
            if mode == PREVIOUS:
                previous = frames[sample, step - 1] if step > 0 else frames[sample - 1, 0]
                for number in range(width):
                    end = list_bits(words[number] & ~previous[number], number * WORD, lists, end)
                for number in range(width):
                    end = list_bits(previous[number] & ~words[number], number * WORD, lists, end)
            elif mode == NOTHING:
                for number in range(width):
                    end = list_bits(words[number], number * WORD, lists, end)
            else:
                for number in range(width):
                    end = list_bits(~words[number] & mask[number], number * WORD, lists, end)
    return lists
