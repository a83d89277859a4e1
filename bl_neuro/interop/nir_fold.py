"""The linear nodes between two layers of neurons as one synapse, where that is exact.

Scale, Linear             the columns of the weights, times the scale
Linear, Scale             the rows and the bias, times the scale
Linear, Linear            the product of the matrices
Conv, pool                a convolution with a larger kernel and stride (pool without padding)
pool with padding, Conv   the same (Conv without padding)
pool                      a convolution of each channel by itself, if no synapse follows; otherwise a pooling layer
Delay                     the delays of a Linear's synapses
nothing                   one synapse of weight 1 from each neuron to the next
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.folded_pooling import pooled_kernel
from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_linear_nodes import MAX_MADE, Delaying, Linear, Pooling, Scaling, need_affordable
from bl_neuro.interop.nir_shapes import same_shape
from bl_neuro.interop.parts import Part, Step, Synapse
from bl_neuro.interop.synapse_folds import PoolOfSums, pair_of, with_pooling
from bl_neuro.layers import AveragePool, Conv, Shape, SumPool
from bl_neuro.neuron import CubaLIF


@dataclass
class Fold:
    """Linear nodes since the last neurons. shape: after the last node; stored: weights of the synapse in the file."""

    shape: Shape
    steps: list[Step] = field(default_factory=list)
    pool: Pooling | None = None
    scale: FloatArray | None = None
    delay: FloatArray | None = None
    synapse: Synapse | None = None
    stored: int = 0

    def add(self, link: Linear) -> None:
        """Adds a node. Raises NetworkError if it does not fit, or cannot be part of an exact synapse."""
        if isinstance(link, Synapse):
            self._add_synapse(link)
        elif isinstance(link, Pooling):
            self._add_pool(link)
        elif isinstance(link, Scaling):
            self._add_scale(link)
        elif isinstance(link, Delaying):
            self._add_delay(link)
        else:
            self._add_flatten(link)

    def parts(self, place: str | None) -> list[Part]:
        """The parts in front of neurons `place`, or at the end of the network if None."""
        if self.synapse is None and place is not None:
            self.synapse = self._without_weights(place)
        if self.synapse is None:
            if self.scale is not None or self.delay is not None:
                raise NetworkError(["expected neurons after the last Scale or Delay"])
            self._settle_pool()
        return [*self.steps, *([] if self.synapse is None else [self.synapse])]

    def _add_synapse(self, link: Synapse) -> None:
        shape = _output_shape(link, self.shape)
        self.stored = max(self.stored, np.asarray(link.weight).size)
        if self.synapse is not None:
            self.synapse = _matrices(self.synapse, link)
        else:
            folded = self._scaled_inputs(link)
            if self.pool is not None and any(self.pool.padding):
                folded = _pool_first(self.pool, folded, self.stored)
            else:
                self._settle_pool()
            if self.delay is not None:
                folded = replace(folded, delay=_delayable(folded, self.delay.reshape(1, -1)))
            self.synapse = folded
        self.pool = self.scale = self.delay = None
        self.shape = shape

    def _scaled_inputs(self, link: Synapse) -> Synapse:
        if self.scale is None:
            return link
        weight = np.asarray(link.weight)
        if weight.ndim == 2:
            return replace(link, weight=weight * self.scale.reshape(1, -1))
        channels = _channel_values(self.scale, link.name)
        groups = int(link.geometry.get("groups", 1))
        grouped = weight.reshape(groups, -1, *weight.shape[1:]) * channels.reshape(groups, 1, -1, 1, 1)
        return replace(link, weight=grouped.reshape(weight.shape))

    def _add_pool(self, link: Pooling) -> None:
        shape = _pooled_shape(link, self.shape)
        if self.synapse is not None:
            self.synapse = _pool_last(self.synapse, link, self.stored)
        else:
            if self.scale is not None:
                self.scale = np.broadcast_to(_channel_values(self.scale, link.name).reshape(-1, 1, 1), shape)
            if self.delay is not None:
                raise NetworkError([f"{link.name}: expected no Delay before pooling"])
            self._settle_pool()
            self.pool = link
        self.shape = shape

    def _settle_pool(self) -> None:
        """Makes the pooling a layer of its own."""
        if self.pool is None:
            return
        if any(self.pool.padding):
            raise NetworkError(
                [
                    f"{self.pool.name}: padding: expected 0, found {self.pool.padding}; only pooling in front of a "
                    "convolution without padding, or of neurons, may have one"
                ]
            )
        kind = SumPool if self.pool.factor == 1.0 else AveragePool
        self.steps.append(Step(self.pool.name, kind(self.pool.size, self.pool.stride)))
        self.pool = None

    def _add_scale(self, link: Scaling) -> None:
        values = _fitting(link.values, self.shape, f"{link.name}: scale")
        if self.synapse is None:
            self.scale = values if self.scale is None else self.scale * values
            return
        weight = np.asarray(self.synapse.weight)
        rows = values.reshape(-1) if weight.ndim == 2 else _channel_values(values, link.name)
        bias = None if self.synapse.bias is None else np.asarray(self.synapse.bias) * rows
        self.synapse = replace(self.synapse, weight=weight * rows.reshape(-1, *[1] * (weight.ndim - 1)), bias=bias)

    def _add_delay(self, link: Delaying) -> None:
        steps = _fitting(link.steps, self.shape, f"{link.name}: delay")
        if not steps.any():
            return
        if self.synapse is None:
            if self.pool is not None:
                raise NetworkError([f"{link.name}: expected no Delay behind pooling"])
            self.delay = steps if self.delay is None else self.delay + steps
            return
        if self.synapse.bias is not None and np.any(self.synapse.bias):
            raise NetworkError([f"{link.name}: expected a Delay in front of an Affine with a bias, found it behind"])
        self.synapse = replace(self.synapse, delay=_delayable(self.synapse, steps.reshape(-1, 1)))

    def _add_flatten(self, link: Step) -> None:
        if self.synapse is not None and len(self.shape) > 1:
            between = f"lies between {self.synapse.name} and its neurons; move it after them"
            raise NetworkError([f"{link.name}: {between}"])
        if self.synapse is None:
            self._settle_pool()
            self.steps.append(link)
        self.shape = (math.prod(self.shape),)
        self.scale = None if self.scale is None else self.scale.reshape(-1)
        self.delay = None if self.delay is None else self.delay.reshape(-1)

    def _without_weights(self, place: str) -> Synapse:
        """A synapse for neurons that follow other neurons, or a pooling, directly."""
        if len(self.shape) == 3:
            kernel = np.ones((self.shape[0], 1, 1, 1))
            one = Synapse(place, kernel, geometry={"groups": self.shape[0]})
            scaled = self._scaled_inputs(one)
            if self.delay is not None:
                raise NetworkError([f"{place}: delays of images are not supported"])
            pool, self.pool = self.pool, None
            return scaled if pool is None else _pool_first(pool, scaled, 0)
        if self.shape[0] ** 2 > MAX_MADE:
            raise NetworkError([f"{place}: expected weights before {self.shape[0]} neurons, found none"])
        one = self._scaled_inputs(Synapse(place, np.eye(self.shape[0])))
        return one if self.delay is None else replace(one, delay=_delayable(one, self.delay.reshape(1, -1)))


def _fitting(values: FloatArray, shape: Shape, what: str) -> FloatArray:
    """`values` in `shape`; a single one counts for all."""
    if values.size == 1 and math.prod(shape) <= MAX_MADE:
        return np.broadcast_to(values.reshape(()), shape)
    if not same_shape(values.shape, shape):
        raise NetworkError([f"{what}: expected shape {shape}, found {values.shape}"])
    return values.reshape(shape)


def _channel_values(values: FloatArray, place: str) -> FloatArray:
    """One value per channel of an image; NetworkError if the values of a channel differ."""
    channels = values.reshape(len(values), -1)
    if (channels != channels[:, :1]).any():
        raise NetworkError([f"{place}: a Scale of an image: expected one value per channel, as weights are shared"])
    return channels[:, 0]


def _output_shape(link: Synapse, shape: Shape) -> Shape:
    weight = np.asarray(link.weight)
    if weight.ndim == 2:
        if shape != (weight.shape[1],):
            hint = "; put a Flatten before it" if len(shape) > 1 else ""
            expected = f"Dense expects an input of shape ({weight.shape[1]},), found {shape}{hint}"
            raise NetworkError([f"{link.name}: {expected}"])
        return (weight.shape[0],)
    try:
        return Conv(weight, CubaLIF(), **link.geometry).output_shape(shape)
    except NetworkError as error:
        raise NetworkError([f"{link.name}: {problem}" for problem in error.problems]) from error


def _pooled_shape(link: Pooling, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise NetworkError([f"{link.name}: pooling expects an input of shape (channels, height, width), found {shape}"])
    channels, *sides = shape
    padded = (channels, *(side + 2 * around for side, around in zip(sides, link.padding)))
    try:
        return SumPool(link.size, link.stride).output_shape(padded)
    except NetworkError as error:
        raise NetworkError([f"{link.name}: {problem}" for problem in error.problems]) from error


def _delayable(synapse: Synapse, steps: FloatArray) -> FloatArray:
    weight = np.asarray(synapse.weight)
    if weight.ndim != 2:
        raise NetworkError([f"{synapse.name}: delays of a convolution are not supported"])
    earlier = 0.0 if synapse.delay is None else np.asarray(synapse.delay)
    return steps + earlier


def _matrices(first: Synapse, second: Synapse) -> Synapse:
    """Two matrices without neurons between as one."""
    left, right = np.asarray(second.weight), np.asarray(first.weight)
    if left.ndim != 2 or right.ndim != 2:
        between = f"expected neurons between {first.name} and {second.name}"
        raise NetworkError([f"{between}; a convolution can be joined with pooling and Scale only"])
    if first.delay is not None:
        raise NetworkError([f"{first.name}: expected neurons between its Delay and {second.name}"])
    need_affordable(second.name, left.shape, right.shape)
    bias = (
        second.bias
        if first.bias is None
        else left @ np.asarray(first.bias) + (0.0 if second.bias is None else np.asarray(second.bias))
    )
    return Synapse(second.name, left @ right, bias)


def _pool_last(synapse: Synapse, pool: Pooling, stored: int) -> Synapse:
    """A convolution and the pooling of what it computes."""
    if any(pool.padding):
        raise NetworkError([f"{pool.name}: padding: expected 0 behind a convolution, found {pool.padding}"])
    try:
        return with_pooling(synapse, PoolOfSums(pool.size, pool.stride, pool.factor), max(MAX_MADE, 2 * stored))
    except NetworkError as error:
        raise NetworkError([f"{pool.name}: {problem}" for problem in error.problems]) from error


def _pool_first(pool: Pooling, synapse: Synapse, stored: int) -> Synapse:
    """A pooling, and a convolution of what it computes."""
    geometry = synapse.geometry
    if any(pair_of(geometry, "padding", 0)) and any(pool.padding):
        raise NetworkError([f"{pool.name}: padding: expected 0 in front of a convolution that has one too"])
    stride, dilation = pair_of(geometry, "stride", 1), pair_of(geometry, "dilation", 1)
    gaps = (dilation[0] * pool.stride[0], dilation[1] * pool.stride[1])
    try:
        summed = pooled_kernel(np.asarray(synapse.weight), pool.size, (1, 1), gaps, max(MAX_MADE, 2 * stored))
    except NetworkError as error:
        raise NetworkError([f"{pool.name}: {problem}" for problem in error.problems]) from error
    steps = (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
    changed = {**geometry, "stride": steps, "dilation": (1, 1), "padding": pool.padding}
    return replace(synapse, weight=summed * pool.factor, geometry=changed)
