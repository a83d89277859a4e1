"""Event-driven convolution: a spike adds its kernel to the output positions it reaches, for all channels at once.

The output position that each kernel tap of an input pixel reaches is the same for every channel and sample, and is
listed once; stride, padding and dilation enter this list only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.int32_ops import add_eight
from bl_neuro.backends.loihi.rows import COUNTS, OFFSETS, gather
from bl_neuro.layers import Conv, Shape

LANES = 8
"""Channels of a group are padded to a multiple of this, so that they fill whole vectors."""
DENSE_FROM = 0.4
"""Spike density above which the full product is less work (measured with 12 and 24 channels)."""
MAX_TAPS = 2**21
"""Maximum number of taps of all input pixels that are listed; larger convolutions use the full product."""
Int32Array = npt.NDArray[np.int32]


class Taps(NamedTuple):
    """Taps `starts[i]` to `starts[i + 1]` of pixel i, each a position in the kernel and a position in the output."""

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


def kernel_rows(weight: npt.NDArray[np.int64], groups: int) -> Int32Array:
    """Weights (out, in/groups, h, w) as (in, h * w, channels of a group, padded)."""
    out, inner = weight.shape[:2]
    group_size = out // groups
    taps = weight.reshape(groups, group_size, inner, -1).transpose(0, 2, 3, 1).reshape(groups * inner, -1, group_size)
    return np.ascontiguousarray(np.pad(taps, ((0, 0), (0, 0), (0, -group_size % LANES))).astype(np.int32))


@compiled()
def _scatter(
    frames: Any, inputs: int, pixels: int, inner: int, group_size: int, wraps: bool,
    starts: Any, kernel: Any, place: Any, weights: Any, sums: Any, offsets: Any, counts: Any,
) -> None:  # fmt: skip
    width = weights.shape[2]
    groups = weights.shape[0] // inner
    places = sums.shape[1] // (groups * group_size)
    kernels = weights.reshape(-1)
    total = np.empty(groups * places * width, np.int32)
    bases = np.empty((inputs, 3), np.int32)  # per input: offsets of its group's sums and its channel's kernels; pixel
    for event in range(inputs):
        channel = event // pixels
        bases[event, 0] = channel // inner * places * width
        bases[event, 1] = channel * weights.shape[1] * width
        bases[event, 2] = event % pixels
    lists = np.empty(8 * frames.shape[1] + 2 * 8, np.int32)
    for row in range(frames.shape[0]):
        total[:] = 0
        for position in range(gather(frames[row], lists, 0, inputs, False, offsets, counts)):
            event = lists[position]
            if event >= inputs:
                break
            first, taps, pixel = bases[event, 0], bases[event, 1], bases[event, 2]
            for tap in range(starts[pixel], starts[pixel + 1]):
                target, source = first + place[tap] * width, taps + kernel[tap] * width
                for lane in range(0, width, 8):
                    add_eight(total, target + lane, kernels, source + lane)
        for group in range(groups):
            for lane in range(group_size):
                base = (group * group_size + lane) * places
                for location in range(places):
                    sums[row, base + location] = total[(group * places + location) * width + lane]
        if wraps:  # to signed 24 bits
            for location in range(sums.shape[1]):
                sums[row, location] = np.int32(((sums[row, location] + 8388608) & 16777215) - 8388608)


class EventConv:
    """A convolution on the CPU. Call with frames (T, B, bytes) and an int32 array (T, B, N) for the sums."""

    def __init__(self, layer: Conv, weight: npt.NDArray[np.int64], input_shape: Shape, output_shape: Shape) -> None:
        self._shapes = input_shape, output_shape
        self._taps = list_taps(layer, input_shape, output_shape)
        self._weights = kernel_rows(weight, layer.groups)
        self._inner = weight.shape[1]
        self._group_size = len(weight) // layer.groups
        self._wraps = int(np.abs(weight).reshape(len(weight), -1).sum(1).max()) >= 2**23

    def pays(self, frames: npt.NDArray[np.uint8]) -> bool:
        """Whether so few inputs spike that the event-driven sum is less work than the full product."""
        return np.count_nonzero(frames) < DENSE_FROM * frames.size

    def __call__(self, frames: npt.NDArray[np.uint8], sums: Int32Array) -> None:
        """See the class."""
        steps, batch, _ = frames.shape
        channels, height, width = self._shapes[0]
        _scatter(
            frames.reshape(steps * batch, -1).view(np.uint64), channels * height * width, height * width,
            self._inner, self._group_size, self._wraps, *self._taps, self._weights, sums.reshape(steps * batch, -1),
            OFFSETS, COUNTS,
        )  # fmt: skip
