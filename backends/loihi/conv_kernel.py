"""Event-driven convolution with fused neuron updates: a spike adds its kernel to the places that it reaches.

The place that each kernel tap of an input pixel reaches is the same for every channel and sample, and is listed once;
stride, padding and dilation enter this list only. All channels of a group lie side by side and are added as vectors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.neuron_kernel import step_neurons
from bl_neuro.backends.loihi.rows import AT_ONCE, list_bits
from bl_neuro.backends.loihi.vectors import (
    LANES,
    PLACES,
    ROW_LANES,
    WORD,
    add_lanes_16,
    add_lanes_32,
    count_bits,
    look_up_16,
    look_up_32,
    move_lanes,
)
from bl_neuro.layers import Conv, Shape

Int32Array = npt.NDArray[np.int32]


class Taps(NamedTuple):
    """Taps `starts[i]` to `starts[i + 1]` of pixel i, each a position in the kernel and a place in the output."""

    starts: Int32Array
    kernel: Int32Array
    place: Int32Array


def list_taps(layer: Conv, input_shape: Shape, output_shape: Shape) -> Taps:
    """The taps of every input pixel."""
    _, height, width = input_shape
    _, rows, columns = output_shape
    kernel_rows, kernel_columns = layer.weight.shape[2:]
    pixel, kernel, place = [], [], []
    for ky in range(kernel_rows):
        for kx in range(kernel_columns):
            out_y, out_x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
            y = out_y * layer.stride[0] + ky * layer.dilation[0] - layer.padding[0]
            x = out_x * layer.stride[1] + kx * layer.dilation[1] - layer.padding[1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            pixel.append((y * width + x)[inside])
            place.append((out_y * columns + out_x)[inside])
            kernel.append(np.full(int(inside.sum()), ky * kernel_columns + kx))
    pixels = np.concatenate(pixel)
    order = np.argsort(pixels, kind="stable")
    starts = np.searchsorted(pixels[order], np.arange(height * width + 1)).astype(np.int32)
    return Taps(starts, np.concatenate(kernel)[order].astype(np.int32), np.concatenate(place)[order].astype(np.int32))


def lanes_of(channels: int) -> int:
    """The number of lanes that the channels of a group fill: LANES, or a multiple of ROW_LANES."""
    return LANES if channels <= LANES else -(-channels // ROW_LANES) * ROW_LANES


def kernel_lanes(weight: npt.NDArray[np.int64], groups: int, dtype: Any) -> npt.NDArray[Any]:
    """Weights (out, in/groups, h, w) as (in, h * w, lanes)."""
    out, inner = weight.shape[:2]
    group_size = out // groups
    taps = weight.reshape(groups, group_size, inner, -1).transpose(0, 2, 3, 1).reshape(groups * inner, -1, group_size)
    return np.ascontiguousarray(np.pad(taps, ((0, 0), (0, 0), (0, lanes_of(group_size) - group_size))).astype(dtype))


def event_places(
    channels: int, pixels: int, inner: int, sums: int, weights: int, positions: Int32Array, bits: int
) -> Int32Array:
    """For each bit of the input: offset of its group's sums, offset of its channel's weights, and its pixel, (bits, 3).

    inner: input channels of a group. sums: number of a group; weights: number of a channel. positions: (channels *
    pixels,), the bits of the inputs.
    """
    events = np.zeros((bits, 3), np.int32)
    channel, pixel = np.divmod(np.arange(channels * pixels), pixels)
    events[positions] = np.stack([channel // inner * sums, channel * weights, pixel], axis=1)
    return events


@compiled()
def _scatter(
    words: Any, lists: Any, events: Any, starts: Any, kernel: Any, place: Any, weights: Any, lanes: int, sums: Any
) -> None:  # fmt: skip
    """Sets `sums` to those of one frame of spikes."""
    for lane in range(sums.size):
        sums[lane] = 0
    end = 0
    for number in range(words.size):
        end = list_bits(words[number], number * WORD, lists, end)
    for position in range(end):
        event = lists[position]
        first, base, pixel = events[event, 0], events[event, 1], events[event, 2]
        if lanes == LANES:
            for tap in range(starts[pixel], starts[pixel + 1]):
                add_lanes_16(sums, first + place[tap], weights, base + kernel[tap])
        elif lanes == ROW_LANES:
            for tap in range(starts[pixel], starts[pixel + 1]):
                add_lanes_32(sums, first + place[tap], weights, base + kernel[tap])
        else:
            for tap in range(starts[pixel], starts[pixel + 1]):
                for lane in range(0, lanes, ROW_LANES):
                    add_lanes_32(sums, first + place[tap] + lane, weights, base + kernel[tap] + lane)


@compiled()
def _look_up(
    stream: Any, bases: Any, rows: Any, pieces: Any, masks: Any, tables: Any, span: int, lanes: int, places: int,
    sums: Any,
) -> None:  # fmt: skip
    """Sets `sums` to those of one frame, whose bits are `stream`; see `conv_lookup.Lookup`."""
    block = min(lanes, ROW_LANES)
    size = pieces.shape[1] * block << span
    for group in range(pieces.shape[0]):
        for number in range(lanes // block):
            offset = (group * (lanes // block) + number) * size
            for place in range(0, bases.size, PLACES):
                target = (group * places + place) * lanes + number * block
                if block == LANES:
                    look_up_16(
                        stream, bases, rows[group], place, pieces[group], masks, tables, offset, span, sums, target,
                        lanes,
                    )  # fmt: skip
                else:
                    look_up_32(
                        stream, bases, rows[group], place, pieces[group], masks, tables, offset, span, sums, target,
                        lanes,
                    )  # fmt: skip


@compiled(forceinline=True)
def _count(words: Any) -> int:
    total = 0
    for number in range(words.size):
        total += count_bits(words[number])
    return total


@compiled(forceinline=True)
def _close_gaps(sums: Any, lanes: int, stride: int, places: int, wraps: bool, drive: Any) -> None:
    """Moves the first `stride` of the `lanes` sums of each place to `drive`, wrapped to 24 bits if need be."""
    for location in range(places):  # in ascending order: the next place overwrites the lanes that are too many
        for lane in range(0, stride, LANES):
            move_lanes(drive, location * stride + lane, sums, location * lanes + lane)
    if wraps:  # signed
        for lane in range(drive.size):
            drive[lane] = np.int32(((drive[lane] + 8388608) & 16777215) - 8388608)


@compiled()
def run_conv(
    frames: Any, steps: int, events: Any, taps: Any, weights: Any, lookup: Any, dense_from: int, places: int,
    stride: int, wraps: bool, left: Any, lead: int, keep_current: Any, keep_voltage: Any, bias: Any, threshold: Any,
    memoryless: bool, sums: Any, fired: Any, voltages: Any, final_current: Any, final_voltage: Any,
) -> None:  # fmt: skip
    """Runs a convolution on frames (B, T, W) of bits, or (B, 1, W) that are repeated in all steps.

    events, taps, lookup: see `event_places`, `Taps` and `conv_lookup.Lookup`. Frames with at least `dense_from` spikes
    use the lookup. places: of all groups. stride: number of channels of a group. sums: working memory. fired: (B, steps
    + lead, bytes). voltages: (steps + lead, B, neurons), or empty.
    """
    starts, kernel, place, lanes = taps
    guard, bases, rows, pieces, masks, tables, span, width_of_place = lookup
    neurons = final_voltage.shape[1]
    drive = np.zeros(neurons + lanes, sums.dtype)
    silent = np.zeros(neurons, sums.dtype)
    before = np.zeros(neurons if voltages.size > 0 else LANES, np.int32)
    unread = np.empty(LANES, np.int32)
    current = np.empty(neurons, np.int32)
    voltage = np.empty(neurons, np.int32)
    words = frames.shape[2]
    lists = np.empty(words * WORD + AT_ONCE, np.int32)
    stream = np.zeros(words + 2 * guard + 1, np.uint64)
    constant = frames.shape[1] < steps
    nothing = np.int32(0)
    spikes, width, span_steps = fired.reshape(-1), fired.shape[2], steps + lead
    for sample in range(frames.shape[0]):
        current[:] = 0
        voltage[:] = 0
        for step in range(-lead, steps):
            if step == 0 or (step > 0 and not constant):
                frame = frames[sample, step]
                if _count(frame) < dense_from:
                    _scatter(frame, lists, events, starts, kernel, place, weights, lanes, sums)
                else:
                    for number in range(words):
                        stream[guard + number] = frame[number]
                    _look_up(
                        stream.view(np.uint8), bases, rows, pieces, masks, tables, span, width_of_place,
                        places * lanes // (width_of_place * pieces.shape[0]), sums,
                    )  # fmt: skip
                if stride != lanes or wraps:
                    _close_gaps(sums, lanes, stride, places, wraps, drive)
            step_neurons(
                silent if step < 0 else sums if stride == lanes and not wraps else drive, nothing, left,
                unread if memoryless and step < steps - 1 else current, voltage, keep_current, keep_voltage, bias,
                threshold, memoryless, spikes, (sample * span_steps + step + lead) * width, before, 0,
            )  # fmt: skip
            if voltages.size > 0:
                voltages[step + lead, sample] = before
        final_current[sample] = current
        final_voltage[sample] = voltage
