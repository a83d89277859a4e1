"""Layers between a synapse and its neurons, folded into the weights and the bias of the synapse.

    y = scale * (W x + b) + shift       weight scale * W, bias scale * b + shift (batch normalisation in evaluation)
    average or sum pooling of W x + b   a convolution whose kernel is W, summed over the pooling window (and divided by
                                        its size), and whose stride is the product of both strides
    recurrent weights of the neurons    recurrent weights of the synapse

All three are equal up to the rounding of floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.interop.parts import Neurons, Part, Scaling, Step, Synapse
from bl_neuro.layers import AveragePool, Conv, SumPool
from bl_neuro.neuron import CubaLIF, frozen_array


def folded(parts: Iterable[Part]) -> tuple[list[Part], list[str]]:
    """`parts` without layers that lie between a synapse and its neurons, and why some of them cannot be folded."""
    result: list[Part] = []
    problems: list[str] = []
    for part in parts:
        before = result[-1] if result else None
        try:
            if isinstance(part, Scaling):
                synapse = _need_synapse(before, part)
                result[-1] = _scaled(synapse, part)
            elif isinstance(part, Step) and isinstance(before, Synapse) and np.ndim(before.weight) == 4:
                pooled = _pooled(before, part)
                result[-1:] = [before, part] if pooled is None else [pooled]
            elif isinstance(part, Neurons) and part.recurrent is not None and isinstance(before, Synapse):
                result[-1:] = [_with_recurrence(before, part), part]
            else:
                result.append(part)
        except NetworkError as error:
            problems += error.problems
    return result, problems


def _need_synapse(before: Part | None, scaling: Scaling) -> Synapse:
    if isinstance(before, Synapse):
        return before
    raise NetworkError(
        [
            f"{scaling.name}: expected a linear or convolutional layer just before this normalisation, into which it "
            "is folded; move it there, as in Conv2d, BatchNorm2d, Leaky, and train again"
        ]
    )


def _scaled(synapse: Synapse, scaling: Scaling) -> Synapse:
    weight = frozen_array(synapse.weight, "weight")
    if scaling.scale.shape != weight.shape[:1]:
        sizes = f"{weight.shape[0]} values for {synapse.name}, found {scaling.scale.shape}"
        raise NetworkError([f"{scaling.name}: expected {sizes}"])
    bias = np.zeros(weight.shape[0]) if synapse.bias is None else frozen_array(synapse.bias, "bias")
    rows = scaling.scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return replace(synapse, weight=weight * rows, bias=bias * scaling.scale + scaling.shift)


def _pooled(synapse: Synapse, step: Step) -> Synapse | None:
    """The convolution that equals `synapse` and the pooling behind it; None if `step` is not pooling."""
    pool = step.layer
    if not isinstance(pool, (AveragePool, SumPool)):
        return None
    conv = Conv(synapse.weight, CubaLIF(), **synapse.geometry)
    kernel = _window_sum(_dilated(conv.weight, conv.dilation), pool.size, conv.stride)
    windows = pool.size[0] * pool.size[1]
    average = isinstance(pool, AveragePool)
    bias = None if synapse.bias is None else frozen_array(synapse.bias, "bias") * (1 if average else windows)
    stride = (conv.stride[0] * pool.stride[0], conv.stride[1] * pool.stride[1])
    geometry = {"stride": stride, "padding": conv.padding, "dilation": 1, "groups": conv.groups}
    return replace(synapse, weight=kernel / windows if average else kernel, bias=bias, geometry=geometry)


def _dilated(weight: FloatArray, dilation: tuple[int, int]) -> FloatArray:
    """The kernel with zeros between its values, for a dilation of 1."""
    height, width = ((size - 1) * gap + 1 for size, gap in zip(weight.shape[2:], dilation))
    kernel = np.zeros((*weight.shape[:2], height, width))
    kernel[:, :, :: dilation[0], :: dilation[1]] = weight
    return kernel


def _window_sum(kernel: FloatArray, size: tuple[int, int], stride: tuple[int, int]) -> FloatArray:
    """The sum of copies of the kernel, one for each value in a pooling window of `size`."""
    height, width = kernel.shape[2:]
    reach = (height + (size[0] - 1) * stride[0], width + (size[1] - 1) * stride[1])
    total = np.zeros((*kernel.shape[:2], *reach))
    for row in range(0, size[0] * stride[0], stride[0]):
        for column in range(0, size[1] * stride[1], stride[1]):
            total[:, :, row : row + height, column : column + width] += kernel
    return total


def _with_recurrence(synapse: Synapse, neurons: Neurons) -> Synapse:
    """`synapse` with the recurrent weights of `neurons`; one number per neuron becomes a diagonal."""
    recurrent = frozen_array(neurons.recurrent, "recurrent")
    outputs = np.shape(synapse.weight)[0]
    if np.ndim(synapse.weight) == 4:
        raise NetworkError([f"{neurons.name}: recurrent synapses behind a convolution are not supported; use a Linear"])
    if recurrent.ndim < 2:
        recurrent = np.diag(np.broadcast_to(recurrent, (outputs,)))
    bias = synapse.bias
    if neurons.recurrent_bias is not None:
        bias = frozen_array(neurons.recurrent_bias, "recurrent bias") + (0 if bias is None else bias)
    return replace(synapse, recurrent=recurrent, bias=bias)
