"""Sum and average pooling as part of the synapses behind it: a convolution with a larger kernel, or a matrix.

A pooled value is a sum of spikes, times 1 for SumPool and 1 / size for AveragePool. The weighted sum of pooled values
is therefore a weighted sum of spikes, which Loihi computes; netx has no pooling.

    pool, Conv             kernel (k - 1) dilation q + p, stride s q, padding P q, for pooling of size p and stride q
    pool, Flatten, Dense   a matrix with one column per pixel before the pooling

With padding P, the pooled zeros around the image must be sums of zeros: windows must not overlap (p <= q), and no pixel
may lie behind the last of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError, Unsupported
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Layer, Pair, Shape, SumPool
from bl_neuro.network import MAX_VALUES, Network

Pool = SumPool | AveragePool
MAX_TAPS = 4096
"""Largest window of a pooling that becomes a kernel."""
MAX_ADDED = 2**28
"""Largest number of weights that are added up for a kernel, which takes a fraction of a second."""


def with_folded_pooling(network: Network) -> Network:
    """A network with the same spikes and without pooling layers; the same network if it has none.

    Raises:
        Unsupported: a pooling layer cannot be folded; the message names every one and the reason.
    """
    layers = list(network.layers)
    shapes = [network.input_shape, *network.shapes]  # before each layer
    problems: list[str] = []
    for index in reversed(range(len(layers))):
        pool = layers[index]
        if not isinstance(pool, (SumPool, AveragePool)):
            continue
        try:
            folded = _folded(pool, layers[index + 1 :], shapes[index], shapes[index + 1])
        except NetworkError as error:
            problems += [f"layer {index}: {pool}: {problem}" for problem in error.problems]
            continue
        layers[index:] = folded
    if problems:
        raise Unsupported("; ".join(problems))
    return network if len(layers) == len(network.layers) else Network(network.input_shape, layers, network.readout)


def _folded(pool: Pool, behind: list[Layer], shape: Shape, pooled: Shape) -> list[Layer]:
    """The layers from a pooling of images of `shape` on, without it."""
    factor = 1.0 if isinstance(pool, SumPool) else 1.0 / (pool.size[0] * pool.size[1])
    first = behind[0]
    if isinstance(first, Conv):
        return [_before_conv(pool, factor, first, shape, pooled), *behind[1:]]
    if isinstance(first, Flatten) and len(behind) > 1 and isinstance(behind[1], Dense):
        return [first, _before_dense(pool, factor, behind[1], shape, pooled), *behind[2:]]
    raise NetworkError([f"expected a Conv, or Flatten and Dense behind it, found {first}"])


def _before_conv(pool: Pool, factor: float, conv: Conv, shape: Shape, pooled: Shape) -> Conv:
    for axis, padding in enumerate(conv.padding):
        covered = pooled[axis + 1] * pool.stride[axis]
        if padding and (pool.size[axis] > pool.stride[axis] or covered < shape[axis + 1]):
            raise NetworkError(["its windows overlap, or leave pixels out, in front of a convolution with padding"])
    gaps = (conv.dilation[0] * pool.stride[0], conv.dilation[1] * pool.stride[1])
    return Conv(
        pooled_kernel(conv.weight, pool.size, (1, 1), gaps) * factor,
        conv.neuron,
        (conv.stride[0] * pool.stride[0], conv.stride[1] * pool.stride[1]),
        (conv.padding[0] * pool.stride[0], conv.padding[1] * pool.stride[1]),
        groups=conv.groups,
        current_bias=conv.current_bias,
    )


def _before_dense(pool: Pool, factor: float, dense: Dense, shape: Shape, pooled: Shape) -> Dense:
    if dense.delay is not None:
        raise NetworkError(["expected synapses without delays behind it"])
    outputs = dense.weight.shape[0]
    if outputs * math.prod(shape) > MAX_VALUES:
        raise NetworkError([f"expected at most {MAX_VALUES} weights behind it, found {outputs} x {math.prod(shape)}"])
    weight = dense.weight.reshape(outputs, *pooled)
    whole = np.zeros((outputs, *shape))
    rows, columns = (stride * (count - 1) + 1 for stride, count in zip(pool.stride, pooled[1:]))
    for top in range(pool.size[0]):
        for left in range(pool.size[1]):
            whole[:, :, top : top + rows : pool.stride[0], left : left + columns : pool.stride[1]] += weight
    return replace(dense, weight=whole.reshape(outputs, -1) * factor)


def pooled_kernel(weight: FloatArray, size: Pair, step: Pair, gaps: Pair, most: int = MAX_VALUES) -> FloatArray:
    """A kernel (..., h, w) with gaps, and its copies shifted by `step` for each element of a window, added up.

    Raises:
        NetworkError: the window has more than `MAX_TAPS` elements, the kernel more than `most` values, or their sum
            more than `MAX_ADDED` terms.
    """
    spans = [gap * (extent - 1) + 1 for gap, extent in zip(gaps, weight.shape[2:])]
    extents = [move * (window - 1) + span for move, window, span in zip(step, size, spans)]
    window_size = size[0] * size[1]
    values = math.prod((*weight.shape[:2], *extents))
    if window_size > MAX_TAPS or values > most or window_size * weight.size > MAX_ADDED:
        raise NetworkError([f"windows of {size} are too large to become a kernel"])
    kernel = np.zeros((*weight.shape[:2], *extents))
    for row in range(0, step[0] * size[0], step[0]):
        for column in range(0, step[1] * size[1], step[1]):
            kernel[:, :, row : row + spans[0] : gaps[0], column : column + spans[1] : gaps[1]] += weight
    return kernel
