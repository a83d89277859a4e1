"""NIR's linear nodes: Linear, Affine, convolutions, pooling, Scale, Delay and Flatten."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_values import Discrete, numbers, pair, whole_numbers
from bl_neuro.interop.parts import Step, Synapse
from bl_neuro.layers import MAX_DELAY, Flatten, Shape
from bl_neuro.network import MAX_VALUES
from bl_neuro.strangers.tree_frames import Tree

WHOLE = 1e-3
"""Largest distance of a delay from a whole number of time steps, in steps."""


@dataclass(frozen=True)
class Pooling:
    """Sums over windows of each channel, times `factor`; `padding` adds zeros on all sides."""

    name: str
    factor: float
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Scaling:
    """An elementwise product with `values`."""

    name: str
    values: FloatArray


@dataclass(frozen=True)
class Delaying:
    """Delays in whole time steps."""

    name: str
    steps: FloatArray


MAX_PRODUCT = 2**31
"""Largest number of terms of a product of matrices."""
MAX_MADE = 2**22
"""Largest number of weights that are not in the file itself, as of kernels with gaps and of synapses without weights,
so that a small file cannot become a large network."""
Linear = Synapse | Pooling | Scaling | Delaying | Step


def dense(place: str, node: Tree, discretization: Discrete) -> Synapse:
    """A Linear or Affine."""
    bias = numbers(place, node, "bias") if node["type"] == "Affine" else None
    weight = numbers(place, node, "weight")
    if weight.ndim != 2:
        raise NetworkError([f"{place}: weight: expected shape (out, in), found {weight.shape}"])
    if discretization.is_own:  # whose bias is in the metadata of the neurons, except that of a current
        return Synapse(place, weight, _own_bias(place, node))
    return Synapse(place, weight, bias)


def conv(place: str, node: Tree, discretization: Discrete) -> Synapse:
    """A Conv2d, or a Conv1d as one over images with a single row."""
    axes = 1 if node["type"] == "Conv1d" else 2
    weight = numbers(place, node, "weight")
    if weight.ndim != 2 + axes:
        names = "(out, in/groups, width)" if axes == 1 else "(out, in/groups, h, w)"
        raise NetworkError([f"{place}: weight: expected shape {names}, found {weight.shape}"])
    stride, dilation = (pair(place, node, key) for key in ("stride", "dilation"))
    groups = whole_numbers(place, node, "groups")
    if len(groups) != 1:
        raise NetworkError([f"{place}: groups: expected one number"])
    if axes == 1:
        weight = weight[:, :, None, :]
        stride, dilation = (1, stride[1]), (1, dilation[1])
    padding = node["padding"]
    if isinstance(padding, str):
        weight, dilation, around = _named_padding(place, padding, weight, dilation)
    else:
        around = pair(place, node, "padding")
        around = (0, around[1]) if axes == 1 else around
    geometry = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups[0]}
    bias = numbers(place, node, "bias")
    return Synapse(place, weight, _own_bias(place, node) if discretization.is_own else bias, geometry)


def _own_bias(place: str, node: Tree) -> FloatArray | None:
    """The bias of a current in the metadata of a file of bl_neuro, or None."""
    metadata = node.get("metadata")
    if isinstance(metadata, dict) and "current_bias" in metadata:
        return numbers(place, metadata, "current_bias")
    return None


def _named_padding(
    place: str, padding: str, weight: FloatArray, dilation: tuple[int, int]
) -> tuple[FloatArray, tuple[int, int], tuple[int, int]]:
    """Kernel, dilation and padding in numbers. An uneven 'same' adds zeros in front of the kernel, not of the image."""
    if padding not in ("valid", "same"):
        raise NetworkError([f"{place}: padding {padding[:20]!r}: expected numbers, 'valid' or 'same'"])
    if padding == "valid":
        return weight, dilation, (0, 0)
    reach = [gap * (size - 1) for gap, size in zip(dilation, weight.shape[2:])]
    for axis, extent in enumerate(reach):
        if extent % 2:  # torch pads the end by one more than the start
            weight = _with_zero_in_front(place, weight, axis + 2, dilation[axis])
            dilation = (1, dilation[1]) if axis == 0 else (dilation[0], 1)
    return weight, dilation, ((reach[0] + 1) // 2, (reach[1] + 1) // 2)


def _with_zero_in_front(place: str, weight: FloatArray, axis: int, dilation: int) -> FloatArray:
    """The kernel with its gaps written as zeros along an axis, and one more zero in front."""
    shape = list(weight.shape)
    shape[axis] = dilation * (shape[axis] - 1) + 2
    if math.prod(shape) > max(MAX_MADE, 2 * weight.size):
        raise NetworkError([f"{place}: dilation: expected a kernel of at most {MAX_MADE} weights, found {shape}"])
    wide = np.zeros(shape)
    index = [slice(None)] * 4
    index[axis] = slice(1, None, dilation)
    wide[tuple(index)] = weight
    return wide


def pool(place: str, node: Tree, discretization: Discrete) -> Pooling:
    """A SumPool2d or AvgPool2d; padded zeros count in the average, as in torch."""
    size, stride, padding = (pair(place, node, key) for key in ("kernel_size", "stride", "padding"))
    if min(*size, *stride) < 1 or min(padding) < 0:
        raise NetworkError([f"{place}: expected a kernel_size and stride of at least 1 and a padding of at least 0"])
    factor = 1.0 if node["type"] == "SumPool2d" else 1.0 / (size[0] * size[1])
    return Pooling(place, factor, size, stride, padding)


def flatten(place: str, node: Tree, discretization: Discrete) -> Step:
    """A Flatten of all axes: from 0, or from 1 where the file counts a batch axis that it does not have.

    From 1, the shapes of the following nodes show whether that is meant; see `nir_shapes`.
    """
    start, end = whole_numbers(place, node, "start_dim"), whole_numbers(place, node, "end_dim")
    if start not in ([0], [1]) or len(end) != 1:
        raise NetworkError([f"{place}: Flatten({start}, {end}): expected all axes, 0 to -1 (without a batch axis)"])
    return Step(place, Flatten())


def scale(place: str, node: Tree, discretization: Discrete) -> Scaling:
    """A Scale."""
    return Scaling(place, numbers(place, node, "scale"))


def delay(place: str, node: Tree, discretization: Discrete) -> Delaying:
    """A Delay in whole time steps."""
    seconds = numbers(place, node, "delay")
    steps = np.round(seconds / discretization.dt)
    if (np.abs(seconds / discretization.dt - steps) > WHOLE).any() or (steps < 0).any() or (steps > MAX_DELAY).any():
        raise NetworkError(
            [
                f"{place}: delay: expected whole time steps of dt = {discretization.dt:g}, 0 to {MAX_DELAY} of them, "
                f"found {seconds.min():g} to {seconds.max():g}"
            ]
        )
    return Delaying(place, steps)


def loop_weight(chain: list[Linear], place: str, size: int) -> tuple[FloatArray, FloatArray]:
    """Weight (N, N) and bias (N,) of a loop from `size` neurons back to themselves, through `chain`.

    The convention for its delay: spikes of one time step arrive in the next, also through a Delay of one step. The
    bias of an Affine in the loop acts in every step, from the first on, since y = W x + b also while x = 0.
    """
    if size * size > (MAX_VALUES if any(isinstance(link, Synapse) for link in chain) else MAX_MADE):
        raise NetworkError([f"{place}: its loop: {size} x {size} are too many weights"])
    weight, bias, delays = None, np.zeros(size), np.zeros(size)
    for link in chain:
        if isinstance(link, Delaying):
            delays = delays + _for_each(link.name, "delay", link.steps, len(delays))
            if (delays > 1).any() or bias.any():
                raise NetworkError([f"{link.name}: expected at most one time step in a loop, before any bias"])
        elif isinstance(link, Scaling):
            values = _for_each(link.name, "scale", link.values, len(bias))
            weight = _diagonal(link.name, values) if weight is None else weight * values[:, None]
            bias = bias * values
        elif isinstance(link, Synapse):
            weight, bias = _product(link, weight, bias)
            delays = np.full(len(bias), delays.max())
    if weight is None:
        weight = np.eye(size)
    if weight.shape != (size, size):
        raise NetworkError([f"{place}: its loop: expected weights {(size, size)}, found {weight.shape}"])
    return weight, bias


def _for_each(place: str, name: str, values: FloatArray, size: int) -> FloatArray:
    """One value for each of the neurons of a loop; a single one counts for all."""
    if values.size != 1 and values.shape != (size,):
        raise NetworkError([f"{place}: {name}: expected shape ({size},), found {values.shape}"])
    return np.broadcast_to(values.reshape(-1), (size,))


def _diagonal(place: str, values: FloatArray) -> FloatArray:
    if len(values) ** 2 > MAX_MADE:
        raise NetworkError([f"{place}: expected a Linear in front of the Scale of a loop of {len(values)} neurons"])
    return np.diag(values)


def _product(link: Synapse, weight: FloatArray | None, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
    factor = np.asarray(link.weight)
    if factor.ndim != 2 or factor.shape[1] != len(bias):
        raise NetworkError([f"{link.name}: expected weights (out, {len(bias)}), found {factor.shape}"])
    if weight is not None:
        need_affordable(link.name, factor.shape, weight.shape)
    added = 0.0 if link.bias is None else np.asarray(link.bias)
    if link.bias is not None and np.shape(link.bias) != (len(factor),):
        raise NetworkError([f"{link.name}: bias: expected shape ({len(factor)},), found {np.shape(link.bias)}"])
    return (factor if weight is None else factor @ weight), factor @ bias + added


def need_affordable(place: str, left: Shape, right: Shape) -> None:
    """NetworkError if the product of two matrices has too many terms to compute."""
    if left[0] * left[1] * right[1] > MAX_PRODUCT or left[0] * right[1] > max(
        MAX_MADE, left[0] * left[1], right[0] * right[1]
    ):
        raise NetworkError([f"{place}: matrices {left} and {right} without neurons between are too large to multiply"])
