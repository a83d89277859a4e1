"""Sums of 16-bit weights over listed inputs, followed by Loihi's neuron update, one tile of neurons at a time.

A tile's weights stay in cache while all frames of a chunk are processed; its sums stay in the first-level cache. Sums
are accumulated in 16 bits, eight rows per pass, and added to 32-bit sums before they can overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.int32_ops import shl, shr
from bl_neuro.backends.loihi.neuron_kernel import step_neurons
from bl_neuro.backends.loihi.rows import EVERYTHING, NOTHING

_SIX = np.int32(6)


@compiled()
def _add_rows(weights: Any, lists: Any, begin: int, end: int, flush: int, sums16: Any, sums: Any, sign: int) -> None:
    """Adds (sign 1) or subtracts (sign -1) listed rows of `weights` to `sums`; flush: maximum rows per 16-bit sum."""
    width = sums.size
    while begin < end:
        stop = min(end, begin + flush)
        sums16[:] = 0
        for at in range(begin, stop, 8):
            r0, r1, r2, r3 = weights[lists[at]], weights[lists[at + 1]], weights[lists[at + 2]], weights[lists[at + 3]]
            r4, r5, r6, r7 = (
                weights[lists[at + 4]],
                weights[lists[at + 5]],
                weights[lists[at + 6]],
                weights[lists[at + 7]],
            )
            for place in range(width):
                sums16[place] = np.int16(
                    sums16[place]
                    + (r0[place] + r1[place])
                    + (r2[place] + r3[place])
                    + (r4[place] + r5[place])
                    + (r6[place] + r7[place])
                )
        if sign > 0:
            for place in range(width):
                sums[place] += np.int32(sums16[place])
        else:
            for place in range(width):
                sums[place] -= np.int32(sums16[place])
        begin = stop


@compiled()
def run_dense(
    weights: Any,
    total: Any,
    flush: int,
    floor_bits: int,
    starts: Any,
    modes: Any,
    lists: Any,
    lead: int,
    keep_current: Any,
    keep_voltage: Any,
    bias: Any,
    threshold: int,
    memoryless: bool,
    fired: Any,
    voltages: Any,
    final_current: Any,
    final_voltage: Any,
) -> None:
    """Runs a dense layer over the frames planned by `rows.plan_rows`. weights: (tiles, in + 1, tile) int16."""
    tiles, _, tile = weights.shape
    batch, steps = modes.shape
    sums16 = np.empty(tile, np.int16)
    sums = np.empty(tile, np.int32)
    first = np.empty(tile, np.int32)
    current = np.empty(tile, np.int32)
    voltage = np.empty(tile, np.int32)
    drive = np.empty(tile, np.int32)
    records = voltages.size > 0
    for number in range(tiles):
        low = number * tile
        high = low + tile
        tile_weights = weights[number]
        tile_current, tile_voltage, tile_bias = keep_current[low:high], keep_voltage[low:high], bias[low:high]
        for sample in range(batch):
            current[:] = 0
            voltage[:] = 0
            for step in range(-lead, steps):
                if step < 0:
                    drive[:] = 0
                else:
                    mode = modes[sample, step]
                    begin, middle, end = starts[sample, step, 0], starts[sample, step, 1], starts[sample, step, 2]
                    if mode == NOTHING:
                        sums[:] = 0
                    elif mode == EVERYTHING:
                        sums[:] = total[low:high]
                    elif step == 0:
                        sums[:] = first
                    if middle > begin:
                        _add_rows(tile_weights, lists, begin, middle, flush, sums16, sums, 1)
                    if end > middle:
                        _add_rows(tile_weights, lists, middle, end, flush, sums16, sums, -1)
                    if step == 0:
                        first[:] = sums
                    for place in range(tile):
                        drive[place] = shl(shr(sums[place], floor_bits), _SIX)
                spikes = fired[step + lead, sample, low:high]
                step_neurons(
                    drive, current, voltage, tile_current, tile_voltage, tile_bias, threshold, memoryless, spikes
                )
                if records:
                    voltages[step + lead, sample, low:high] = drive
            final_current[sample, low:high] = current
            final_voltage[sample, low:high] = voltage
