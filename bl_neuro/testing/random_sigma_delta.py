"""Random sigma-delta networks and inputs with extreme values, for comparing substrates."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.layers import Conv, Dense, Flatten, Input
from bl_neuro.network import Network
from bl_neuro.sigma_delta import LIMIT, Delta, Sigma, SigmaDelta
from bl_neuro.testing.fixed_point import MOST_WEIGHT, drawn_weights

Generator = np.random.Generator
THRESHOLDS = (0, 0, 0, 1, 6, 6, 6, 20, 64, 64, 1000, LIMIT - 1)
SCALES = (2.0, 64.0, 1000.0, 2.0**18, 2.0**23)
"""Largest magnitudes of random inputs; above 2^19 Lava's 32 bits overflow."""
DELAYS = (3, 12, 62)


def random_sigma_delta(
    seed: int, *, conv: bool | None = None, delays: bool = True, biases: bool = True, unit: bool = False
) -> Network:
    """A random sigma-delta network of one to three dense layers, half of them with a `Sigma` output.

    conv: whether one or two convolutions precede them; if None, they do for a third of the seeds. unit: whether some
    layers have the activation "unit".
    """
    rng = np.random.default_rng(seed)
    several = seed % 3 == 0 if conv is None else conv
    shape = (3, 7, 9) if several else (int(rng.integers(1, 60)),)
    layers: list[Any] = [Input(*_input(rng))]
    inputs = shape
    for _ in range(int(rng.integers(1, 3)) if several else 0):
        layers.append(_conv(rng, inputs, biases, unit))
        inputs = layers[-1].output_shape(inputs)
    if several:
        layers.append(Flatten())
        inputs = layers[-1].output_shape(inputs)
    count = int(rng.integers(1, 4))
    for number in range(count):
        outputs = int(rng.integers(1, 40))
        delay = _delay(rng, outputs, inputs[0]) if delays and rng.random() < 0.3 else None
        is_sigma = number == count - 1 and rng.random() < 0.5
        neuron = Sigma() if is_sigma else _neuron(rng, (outputs,), biases, unit)
        layers.append(Dense(drawn_weights(rng, (outputs, inputs[0])), neuron, delay))
        inputs = (outputs,)
    return Network(shape, layers)


def random_real_inputs(network: Network, seed: int, steps: int) -> FloatArray:
    """Inputs (T, 3, *input_shape) of both signs: noise, a slow walk, and a held frame that changes once."""
    rng = np.random.default_rng(seed)
    shape = (steps, *network.input_shape)
    scale = float(rng.choice(SCALES)) / max(1.0, float(np.abs(getattr(network.layers[0], "weight", 1.0)).max()))
    walk = np.cumsum(rng.normal(0, 0.1, shape), axis=0).clip(-1, 1)
    frames = rng.uniform(-1, 1, (2, *network.input_shape))
    held = np.where((np.arange(steps) < steps // 2).reshape(-1, *[1] * len(network.input_shape)), frames[0], frames[1])
    values: FloatArray = scale * np.stack([rng.uniform(-1, 1, shape), walk, held], 1)
    return values


def _input(rng: Generator) -> tuple[Any, Delta, Any]:
    weight, bias = (64, 0) if rng.random() < 0.5 else (int(rng.integers(-128, 128)) or 1, int(rng.integers(-64, 64)))
    return weight, Delta(rng.choice(THRESHOLDS[:-2])), bias


def _neuron(rng: Generator, shape: tuple[int, ...], biases: bool, unit: bool) -> SigmaDelta:
    bias: Any = 0
    if biases and rng.random() < 0.6:
        reach = int(rng.choice([20, 4000, LIMIT]))
        bias = rng.integers(1 - reach, reach, shape)
    return SigmaDelta(rng.choice(THRESHOLDS), bias, "unit" if unit and rng.random() < 0.5 else "relu")


def _conv(rng: Generator, inputs: tuple[int, ...], biases: bool, unit: bool) -> Conv:
    """A random convolution whose window fits an input of this shape."""
    while True:
        layer = _any_conv(rng, inputs[0], biases, unit)
        with suppress(NetworkError):
            layer.output_shape(inputs)
            return layer


def _any_conv(rng: Generator, channels: int, biases: bool, unit: bool) -> Conv:
    geometry: dict[str, Any] = {
        "stride": tuple(rng.integers(1, 3, 2)),
        "padding": tuple(rng.integers(0, 3, 2)),
        "dilation": tuple(rng.integers(1, 3, 2)),
        "groups": int(rng.choice([1, 3])),
    }
    kernel = (6, channels // geometry["groups"], int(rng.integers(1, 3)), int(rng.integers(1, 4)))
    weight = drawn_weights(rng, kernel)
    if rng.random() < 0.2:
        weight = rng.integers(-MOST_WEIGHT, MOST_WEIGHT, kernel)
    return Conv(weight, _neuron(rng, (6, 1, 1), biases, unit), **geometry)


def _delay(rng: Generator, outputs: int, inputs: int) -> Any:
    shape = [(outputs, 1), (1, inputs), (outputs, inputs)][int(rng.integers(3))]
    return rng.integers(0, rng.choice(DELAYS) + 1, shape)
