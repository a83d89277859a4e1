"""Seeded random networks in Loihi's arithmetic, extremes included: what the emulator and real Lava must agree on.

Weights of every encoding that netx has (mixed, even, exciting, inhibiting, tiny, sparse, multiples of 64, those that it
clips), decays and thresholds at both ends of their ranges, biases up to int16, delays up to the longest, recurrent
synapses, per-neuron decays, convolutions of all geometries, with sums that leave 24 bits.
Layers that netx would make all zero, or refuse, are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bl_neuro.arrays import IntArray
from bl_neuro.deploy.net_limits import encoding_problem
from bl_neuro.layers import Conv, Dense, Flatten
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF

Generator = np.random.Generator
Shape = tuple[int, ...]
WEIGHTS: dict[str, Callable[[Generator, Shape], IntArray]] = {
    "mixed": lambda rng, shape: rng.integers(-256, 255, shape),
    "even": lambda rng, shape: 2 * rng.integers(-128, 128, shape),
    "exciting": lambda rng, shape: rng.integers(0, 256, shape),
    "inhibiting": lambda rng, shape: -rng.integers(1, 256, shape),
    "inhibiting with zeros": lambda rng, shape: -rng.integers(0, 129, shape),
    "zeros and minus ones": lambda rng, shape: -rng.integers(0, 2, shape),
    "tiny": lambda rng, shape: rng.integers(-1, 2, shape),
    "sparse": lambda rng, shape: rng.integers(-256, 255, shape) * (rng.random(shape) < 0.05),
    "multiples of 64": lambda rng, shape: 64 * rng.integers(-3, 4, shape),
    "clipped": lambda rng, shape: rng.integers(-MOST_WEIGHT, MOST_WEIGHT, shape),
    "small": lambda rng, shape: np.round(rng.normal(0, 20, shape)).astype(np.int64),
}
DECAYS = (0, 1, 2, 100, 410, 2048, 4095, 4096)
THRESHOLDS = (0, 1, 6, 25, 64, 1000, 4096, 20000, 131071)
DELAYS = (12, 62)
MOST_WEIGHT = 2**20
"""The largest that the format holds. netx clips mixed ones to 9 bits; those of convolutions stay as they are."""


def random_fixed_point(seed: int, *, conv: bool | None = None, delays: bool = True, biases: bool = True) -> Network:
    """A random network: one to three dense layers, behind a convolution where `conv` (a third of the seeds if None)."""
    rng = np.random.default_rng(seed)
    layers: list[Any] = []
    shape: Shape = (int(rng.integers(1, 300)),)
    if seed % 3 == 0 if conv is None else conv:
        shape = (3, 9, 11)
        layers = [_conv(rng, biases), Flatten()]
        inputs = int(np.prod(layers[0].output_shape(shape)))
    else:
        inputs = shape[0]
    for _ in range(int(rng.integers(1, 4))):
        outputs = int(rng.integers(1, 120))
        delay = _delay(rng, outputs, inputs) if delays and outputs * inputs < 6000 else None
        weight, recurrent = _drawn(rng, (outputs, inputs)), None
        if delays and delay is None and rng.random() < 0.15:
            recurrent = _drawn(rng, (outputs, outputs))
            while encoding_problem(weight, recurrent) is not None:  # netx encodes the two together
                weight, recurrent = _drawn(rng, (outputs, inputs)), _drawn(rng, (outputs, outputs))
        layers.append(Dense(weight, _neuron(rng, (outputs,), biases), delay=delay, recurrent=recurrent))
        inputs = outputs
    return Network(shape, layers, arithmetic="loihi")


def _conv(rng: Generator, biases: bool) -> Conv:
    geometry: dict[str, Any] = {
        "stride": tuple(rng.integers(1, 3, 2)),
        "padding": tuple(rng.integers(0, 3, 2)),
        "dilation": tuple(rng.integers(1, 3, 2)),
        "groups": int(rng.choice([1, 3])),
    }
    weight = _drawn(rng, (6, 3 // geometry["groups"], int(rng.integers(1, 4)), int(rng.integers(1, 5))))
    if rng.random() < 0.2:
        weight = rng.integers(-MOST_WEIGHT, MOST_WEIGHT, weight.shape)
    return Conv(weight, _neuron(rng, (6, 1, 1), biases), **geometry)


def _drawn(rng: Generator, shape: Shape) -> IntArray:
    """Weights of one of the kinds; a dense matrix that its encoding would empty is drawn again."""
    while True:
        weight = WEIGHTS[rng.choice(sorted(WEIGHTS))](rng, shape)
        if weight.any() if len(shape) == 4 else encoding_problem(weight, None) is None:
            return weight


def _neuron(rng: Generator, shape: Shape, biases: bool) -> CubaLIF:
    several = shape if rng.random() < 0.2 else ()
    bias: Any = 0.0
    if biases and rng.random() < 0.3:
        reach = 4000 if rng.random() < 0.5 else 2**15
        bias = rng.integers(-reach, reach, shape)
    return CubaLIF(
        threshold=float(rng.choice(THRESHOLDS)),
        current_decay=_decay(rng, several),
        voltage_decay=_decay(rng, several),
        bias=bias,
    )


def _decay(rng: Generator, shape: Shape) -> Any:
    drawn = rng.choice([*DECAYS, int(rng.integers(0, DECAY_ONE + 1))]) if shape == () else rng.integers(0, 4097, shape)
    return drawn / DECAY_ONE


def _delay(rng: Generator, outputs: int, inputs: int) -> Any:
    """Delays for a row, for an input, or for each synapse; none in most networks."""
    if rng.random() > 0.25:
        return None
    shape = [(outputs, 1), (1, inputs), (outputs, inputs)][int(rng.integers(3))]
    return rng.integers(0, rng.choice(DELAYS) + 1, shape)
