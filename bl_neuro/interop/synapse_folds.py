"""What lies between a synapse and its neurons, as part of the synapse, where that is exact.

- A convolution and pooling: a convolution with a kernel of (k - 1) d + (p - 1) s + 1 and a stride of s q, for a kernel
  of k, dilation d and stride s, and for windows of p at a stride of q.
- Batch normalization with its running statistics: rows of weights times g and the bias b g + h, with
  g = gamma / sqrt(var + eps) and h = beta - g mean.
- Recurrent neurons: recurrent weights of the synapse, and a bias in every step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.folded_pooling import pooled_kernel
from bl_neuro.errors import NetworkError
from bl_neuro.interop.parts import Neurons, Normalization, Step, Synapse
from bl_neuro.layers import Flatten, Pair, SumPool
from bl_neuro.network import MAX_VALUES
from bl_neuro.neuron import frozen_array


def folded(synapse: Synapse | None, part: Normalization | Step) -> Synapse:
    """A synapse with what lies between it and its neurons.

    Raises:
        NetworkError: there is no synapse, or the two are no exact synapse.
    """
    if synapse is None:
        raise NetworkError(
            ["expected it between a linear or convolutional layer and its neurons; move it there, and train again"]
        )
    if isinstance(part, Normalization):
        return with_normalization(synapse, part)
    if isinstance(part.layer, Flatten):
        raise NetworkError([f"lies between {synapse.name} and its neurons; move it after them"])
    size, stride = part.layer.size, part.layer.stride
    factor = 1.0 if isinstance(part.layer, SumPool) else 1.0 / (size[0] * size[1])
    return with_pooling(synapse, PoolOfSums(size, stride, factor), MAX_VALUES)


@dataclass(frozen=True)
class PoolOfSums:
    """Sums over windows of what a convolution computes, times `factor`."""

    size: Pair
    stride: Pair
    factor: float


def with_pooling(synapse: Synapse, pool: PoolOfSums, most: int) -> Synapse:
    """A convolution and the pooling of what it computes. most: largest number of weights.

    Raises:
        NetworkError: the synapse is no convolution, or the kernel has too many weights.
    """
    weight, geometry = np.asarray(synapse.weight), synapse.geometry
    if weight.ndim != 4:
        raise NetworkError([f"expected a convolution or neurons in front of pooling, found {synapse.name}"])
    stride, dilation = pair_of(geometry, "stride", 1), pair_of(geometry, "dilation", 1)
    kernel = pooled_kernel(weight, pool.size, stride, dilation, most) * pool.factor
    added = pool.factor * pool.size[0] * pool.size[1]
    bias = None if synapse.bias is None else np.asarray(synapse.bias) * added
    steps = (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
    return replace(synapse, weight=kernel, bias=bias, geometry={**geometry, "stride": steps, "dilation": (1, 1)})


def with_normalization(synapse: Synapse, normalization: Normalization) -> Synapse:
    """A synapse and the normalization of what it computes.

    Raises:
        NetworkError: the number of channels differs.
    """
    weight = np.asarray(synapse.weight, dtype=np.float64)
    scale, shift = normalization.scale, normalization.shift
    if len(scale) != len(weight):
        raise NetworkError([f"expected {len(weight)} channels, those of {synapse.name}, found {len(scale)}"])
    bias: FloatArray = shift if synapse.bias is None else np.asarray(synapse.bias) * scale + shift
    return replace(synapse, weight=weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), bias=bias)


def with_recurrence(synapse: Synapse, neurons: Neurons) -> Synapse:
    """A synapse with the recurrent weights of its neurons; one number per neuron becomes a diagonal.

    Raises:
        NetworkError: the synapse is a convolution.
    """
    recurrent = frozen_array(neurons.recurrent, "recurrent")
    if np.ndim(synapse.weight) == 4:
        raise NetworkError(["recurrent synapses behind a convolution are not supported; use a Linear"])
    if recurrent.ndim < 2:
        recurrent = np.diag(np.broadcast_to(recurrent, (len(np.asarray(synapse.weight)),)))
    bias = synapse.bias
    if neurons.recurrent_bias is not None:
        bias = frozen_array(neurons.recurrent_bias, "recurrent bias") + (0 if bias is None else np.asarray(bias))
    return replace(synapse, recurrent=recurrent, bias=bias)


def pair_of(geometry: dict[str, Any], key: str, usual: int) -> Pair:
    """An entry of a convolution's geometry for both axes; `usual` if it is not stated."""
    value = geometry.get(key, usual)
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
