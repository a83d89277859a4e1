"""Random networks and spikes from seeds, designed to reveal differences between substrates.

Decays and thresholds differ between neurons, current decays include 0 and 1, and weights come either from a normal
distribution or from a coarse grid of sixteenths, on which a voltage often equals its threshold exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, Reset

Spikes = npt.NDArray[np.uint8]
ConvEnd = Literal["dense", "flatten", "image"]
Generator = np.random.Generator
GRID = 16
"""Grid weights, thresholds and decays are multiples of 1 / GRID, so that sums of them are exact."""


def random_dense(
    seed: int,
    sizes: tuple[int, ...] = (20, 30, 25, 10),
    *,
    grid: bool = False,
    biases: bool = True,
    filtered: bool = True,
    reset: Reset = "zero",
) -> Network:
    """Dense layers of `sizes`. filtered: False sets all current decays to 1."""
    rng = np.random.default_rng(seed)
    layers = [
        Dense(_weight(rng, (out, inner), inner, grid), random_neuron(rng, (out,), grid, biases, filtered, reset))
        for inner, out in pairwise(sizes)
    ]
    return Network(sizes[:1], layers)


def random_conv(
    seed: int, *, grid: bool = False, biases: bool = True, filtered: bool = True, end: ConvEnd = "dense"
) -> Network:
    """Two convolutions with different stride, padding, dilation and groups, also between height and width.

    end: a dense layer follows, or the output is that of the second convolution, flat or as an image.
    """
    rng = np.random.default_rng(seed)
    groups = 1 + seed % 2
    geometries: list[dict[str, Any]] = [
        {"stride": (2, 1), "padding": (1, 0), "dilation": 1, "groups": groups},
        {"stride": (1, 2), "padding": (0, 2), "dilation": (1, 2), "groups": groups},
        {"stride": 2, "padding": 1, "dilation": (2, 1), "groups": groups},
    ]
    first, second = geometries[seed % 3], geometries[(seed + 1) % 3]
    shape = (2, 9, 8)
    shapes = [shape]
    layers: list[Any] = []
    for geometry, channels, kernel in ((first, 4, (3, 2)), (second, 6, (2, 3))):
        inner = shapes[-1][0] // groups
        weight = _weight(rng, (channels, inner, *kernel), inner * kernel[0] * kernel[1], grid)
        conv = Conv(weight, CubaLIF(), **geometry)
        out = conv.output_shape(shapes[-1])
        layers.append(Conv(weight, random_neuron(rng, out[:1], grid, biases, filtered), **geometry))
        shapes.append((out[0], out[1], out[2]))
    if end != "dense":
        return Network(shape, [*layers, Flatten()] if end == "flatten" else layers)
    features = int(np.prod(shapes[-1]))
    neuron = random_neuron(rng, (5,), grid, biases, filtered)
    return Network(shape, [*layers, Flatten(), Dense(_weight(rng, (5, features), features, grid), neuron)])


def random_pooled(seed: int, *, grid: bool = False, biases: bool = True, filtered: bool = True) -> Network:
    """A convolution with parameters per neuron, sum pooling, average pooling with overlap, a dense layer."""
    rng = np.random.default_rng(seed)
    neuron = random_neuron(rng, (4, 10, 9), grid, biases, filtered)
    conv = Conv(_weight(rng, (4, 1, 3, 3), 9, grid), neuron, padding=1)
    last = random_neuron(rng, (5,), grid, biases, filtered)
    dense = Dense(_weight(rng, (5, 4 * 4 * 2), 32, grid), last)
    return Network((1, 10, 9), [conv, SumPool((2, 3)), AveragePool(2, 1), Flatten(), dense])


def random_neuron(
    rng: Generator,
    shape: tuple[int, ...],
    grid: bool = False,
    biases: bool = True,
    filtered: bool = True,
    reset: Reset = "zero",
) -> CubaLIF:
    """Parameters per neuron. One seventh of the current decays are 0, and as many are 1."""
    current_decay = rng.uniform(0.1, 0.9, shape)
    current_decay[rng.random(shape) < 1 / 7] = 0.0
    current_decay[rng.random(shape) < 1 / 7] = 1.0
    voltage_decay = rng.uniform(0.05, 1.0, shape)
    threshold = rng.uniform(0.5, 1.5, shape)
    bias = rng.normal(0, 0.1, shape)
    if grid:
        current_decay, threshold, bias = (np.round(GRID * values) / GRID for values in (current_decay, threshold, bias))
        voltage_decay = np.ceil(4 * voltage_decay) / 4
    return CubaLIF(
        threshold=threshold,
        current_decay=current_decay if filtered else 1.0,
        voltage_decay=voltage_decay,
        bias=bias if biases else 0.0,
        reset=reset,
    )


def random_spikes(network: Network, seed: int, steps: int = 50, batch: int = 4, density: float = 0.3) -> Spikes:
    """Spikes (T, B, *input_shape), each 1 with probability `density`."""
    rng = np.random.default_rng(seed)
    return (rng.random((steps, batch, *network.input_shape)) < density).astype(np.uint8)


def _weight(rng: Generator, shape: tuple[int, ...], inputs: int, grid: bool) -> FloatArray:
    """Weights that keep about a third of the neurons active."""
    weight: FloatArray = rng.normal(0.1, 1.0, shape) * 1.2 / np.sqrt(inputs)
    return np.round(GRID * weight) / GRID if grid else weight
