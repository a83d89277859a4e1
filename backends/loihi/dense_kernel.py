"""Sums of weights over listed inputs, followed by Loihi's neuron update, one tile of neurons at a time.

A tile's weights stay in cache while all frames are processed, and its sums of 16 bits in registers; they are added to
32-bit sums before they can overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.neuron_kernel import part_of, step_neurons
from bl_neuro.backends.loihi.rows import AT_ONCE, EVERYTHING, NOTHING, plan_rows
from bl_neuro.backends.loihi.vectors import LANES, ROW_LANES, add_rows_1, add_rows_2, add_rows_4

LISTED = 2**17
"""Number of listed inputs of a block of samples, half a megabyte, which stay in cache."""


@compiled(forceinline=True)
def _add_rows(weights: Any, first: int, lists: Any, begin: int, end: int, flush: int, sums: Any, sign: int) -> None:
    """Adds (sign 1) or subtracts (sign -1) listed rows of a tile to `sums`; flush: maximum rows per 16-bit sum."""
    factor = np.int32(sign)
    while begin < end:
        stop = min(end, begin + flush)
        if sums.size == ROW_LANES:
            add_rows_1(weights, first, lists, begin, stop, sums, factor)
        elif sums.size == 2 * ROW_LANES:
            add_rows_2(weights, first, lists, begin, stop, sums, factor)
        else:
            add_rows_4(weights, first, lists, begin, stop, sums, factor)
        begin = stop


@compiled(forceinline=True)
def _move_sums(
    weights: Any, offset: int, total: Any, low: int, flush: int, mode: int, begin: int, middle: int, end: int,
    lists: Any, is_first: bool, first: Any, sums: Any,
) -> None:  # fmt: skip
    """Sets `sums` of the tile of neurons from `low` on to those of the next frame; `first`: of the first frames."""
    if mode == NOTHING:
        for place in range(sums.size):
            sums[place] = 0
    elif mode == EVERYTHING:
        for place in range(sums.size):
            sums[place] = total[low + place]
    elif is_first:
        for place in range(sums.size):
            sums[place] = first[place]
    if middle > begin:
        _add_rows(weights, offset, lists, begin, middle, flush, sums, 1)
    if end > middle:
        _add_rows(weights, offset, lists, middle, end, flush, sums, -1)
    if is_first:
        for place in range(sums.size):
            first[place] = sums[place]


@compiled()
def run_dense(
    frames: Any, mask: Any, inputs: int, weights: Any, total: Any, flush: int, right: Any, left: Any, lead: int,
    keep_current: Any, keep_voltage: Any, bias: Any, threshold: Any, memoryless: bool, fired: Any, voltages: Any,
    final_current: Any, final_voltage: Any,
) -> None:  # fmt: skip
    """Runs a dense layer on frames (B, T, W) of bits, or (B, 1, W) that are repeated in all steps.

    mask, inputs: see `rows.plan_rows`. weights: (tiles, rows, tile), int8 or int16, a tile of 1, 2 or 4 times
    ROW_LANES. The drive is (sum >> right) << left. fired: (B, T + lead, bytes) of bits. voltages: (T + lead, B, width),
    or empty.
    """
    tiles, rows, tile = weights.shape
    batch, span, width = fired.shape
    steps = span - lead
    block = max(1, min(batch, LISTED // (steps * (inputs // 2 + 1))))
    lists = np.empty(block * steps * (inputs // 2 + 1) + AT_ONCE, np.int32)
    starts = np.empty((block, steps, 3), np.int64)
    modes = np.empty((block, steps), np.int8)
    flat, spikes, recorded = weights.reshape(-1), fired.reshape(-1), voltages.reshape(-1)
    work = np.empty((4, tile), np.int32)
    sums, current, voltage, silent = work[0], work[1], work[2], work[3]
    unrecorded = np.empty(LANES, np.int32)
    silent[:] = 0
    firsts = np.empty(total.size, np.int32)
    records = voltages.size > 0
    for begin in range(0, batch, block):
        last = min(batch, begin + block)
        plan_rows(frames, mask, inputs, begin, last, starts, modes, lists)
        for number in range(tiles):
            low = number * tile
            high = low + tile
            first = firsts[low:high]
            tile_current, tile_voltage = part_of(keep_current, low, high), part_of(keep_voltage, low, high)
            tile_bias = part_of(bias, low, high)
            for sample in range(begin, last):
                for place in range(tile):
                    current[place] = 0
                    voltage[place] = 0
                for step in range(-lead, steps):
                    if step >= 0:
                        plan = starts[sample - begin, step]
                        _move_sums(
                            flat, low * rows, total, low, flush, modes[sample - begin, step], plan[0], plan[1],
                            plan[2], lists, step == 0, first, sums,
                        )  # fmt: skip
                    drive = sums if step >= 0 else silent
                    byte = (sample * span + step + lead) * width + low // 8
                    before = recorded if records else unrecorded
                    offset = ((step + lead) * batch + sample) * total.size + low if records else 0
                    step_neurons(
                        drive, right, left, current, voltage, tile_current, tile_voltage, tile_bias, threshold,
                        memoryless, spikes, byte, before, offset,
                    )  # fmt: skip
                final_current[sample, low:high] = current
                final_voltage[sample, low:high] = voltage
