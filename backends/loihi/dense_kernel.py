"""Sums of weights over listed inputs, followed by Loihi's neuron update, one tile of neurons at a time.

A tile's weights stay in cache while all frames are processed, and its sums of 16 bits in registers; they are added to
32-bit sums before they can overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.neuron_kernel import step_neurons
from bl_neuro.backends.loihi.rows import EVERYTHING, NOTHING
from bl_neuro.backends.loihi.vectors import ROW_LANES, add_rows_1, add_rows_2, add_rows_4


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
    weights: Any,
    total: Any,
    flush: int,
    right: Any,
    left: Any,
    starts: Any,
    modes: Any,
    lists: Any,
    lead: int,
    keep_current: Any,
    keep_voltage: Any,
    bias: Any,
    threshold: Any,
    memoryless: bool,
    fired: Any,
    voltages: Any,
    final_current: Any,
    final_voltage: Any,
) -> None:
    """Runs a dense layer over the frames planned by `rows.plan_rows`.

    weights: (tiles, inputs, tile), int8 or int16, a tile of 1, 2 or 4 times ROW_LANES. The drive is (sum >> right) <<
    left. fired: (B, T + lead, bytes) of bits. voltages: (T + lead, B, width), or empty.
    """
    tiles, inputs, tile = weights.shape
    batch, steps = modes.shape
    flat, spikes, recorded = weights.reshape(-1), fired.reshape(-1), voltages.reshape(-1)
    width, span = fired.shape[2], steps + lead
    work = np.empty((6, tile), np.int32)
    sums, first, current, voltage, silent, unrecorded = work[0], work[1], work[2], work[3], work[4], work[5]
    silent[:] = 0
    records = voltages.size > 0
    for number in range(tiles):
        low = number * tile
        high = low + tile
        tile_current, tile_voltage, tile_bias = keep_current[low:high], keep_voltage[low:high], bias[low:high]
        for sample in range(batch):
            for place in range(tile):
                current[place] = 0
                voltage[place] = 0
            for step in range(-lead, steps):
                if step >= 0:
                    _move_sums(
                        flat, low * inputs, total, low, flush, modes[sample, step], starts[sample, step, 0],
                        starts[sample, step, 1], starts[sample, step, 2], lists, step == 0, first, sums,
                    )  # fmt: skip
                drive = sums if step >= 0 else silent
                byte = (sample * span + step + lead) * width + low // 8
                before = recorded if records else unrecorded
                offset = ((step + lead) * batch + sample) * total.size + low if records else 0
                step_neurons(
                    drive, right, left, current, voltage, tile_current, tile_voltage, tile_bias, threshold, memoryless,
                    spikes, byte, before, offset,
                )  # fmt: skip
            final_current[sample, low:high] = current
            final_voltage[sample, low:high] = voltage
