"""A stranger's model as a row of parts (synapses, neurons, steps of shape), and the network they make together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError, Unsupported
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Layer, Shape, SumPool
from bl_neuro.network import MAX_VALUES, Arithmetic, Network, Readout, checked_input_shape
from bl_neuro.neuron import CubaLIF, Reset, frozen_array, per_channel


@dataclass(frozen=True)
class Synapse:
    """Weights (out, in), or (out, in/groups, h, w) with a convolution's geometry, and a bias on the weighted input.

    delay, recurrent: of a dense synapse, see `Dense`. name: how the model calls it; problems are reported under it.
    """

    name: str
    weight: Any
    bias: Any = None
    geometry: dict[str, Any] = field(default_factory=dict)
    delay: Any = None
    recurrent: Any = None


@dataclass(frozen=True)
class Neurons:
    """CUBA-LIF parameters; arrays broadcast against the neurons from the right, as in torch and NumPy.

    as_given: they are shaped as `CubaLIF` takes them already, and kept so.
    """

    name: str
    threshold: Any
    current_decay: Any = 1.0
    voltage_decay: Any = 1.0
    bias: Any = 0.0
    reset: Reset = "zero"
    as_given: bool = False


@dataclass(frozen=True)
class Step:
    """A change of shape, without synapses or neurons."""

    name: str
    layer: Flatten | SumPool | AveragePool


@dataclass(frozen=True)
class Unread:
    """A layer that is none of these: the problem is noted already, and the shape behind it is not known."""

    name: str


Part = Synapse | Neurons | Step | Unread


def collect(
    named: Iterable[tuple[str, Any]], read: Callable[[str, Any], Part | None], spikes: Callable[[Any], bool]
) -> tuple[list[Part], list[str]]:
    """The parts that `read` makes of the layers of a model, and the problems it raised as NetworkError.

    spikes: whether a layer is one of neurons; one that cannot be read still stands behind its synapse.
    """
    parts: list[Part] = []
    problems: list[str] = []
    for name, layer in named:
        try:
            part = read(name, layer)
        except NetworkError as error:
            problems += error.problems
            part = Neurons(name, 1.0) if spikes(layer) else Unread(name)
        if part is not None:
            parts.append(part)
    return parts, problems


def assemble(
    parts: Sequence[Part],
    input_shape: Iterable[int],
    source: str,
    problems: Sequence[str] = (),
    readout: Readout = "spikes",
    arithmetic: Arithmetic = "real",
    flattens: bool = False,
) -> Network:
    """The network that `parts` make, each synapse with the neurons that follow it.

    source: what they come from, for messages. problems: what was already found wrong with it. flattens: images become
    vectors where dense weights have one for each of their pixels, for models that may do so between their layers.

    Raises:
        Unsupported: there are problems; all that are not mere consequences of others are listed.
        InputError: input_shape is no shape of a frame.
    """
    found = list(problems)
    layers: list[Layer] = []
    input_shape = shape = checked_input_shape(input_shape)
    waiting: Synapse | None = None
    lost = False
    try:
        for part in parts:
            if isinstance(part, Synapse):
                if waiting is not None:
                    found.append(f"{waiting.name}: expected neurons after it, found {part.name}")
                    lost = True
                waiting = part
                continue
            if lost or isinstance(part, Unread):  # what follows has no known shape
                waiting = None
                break
            if isinstance(part, Step):
                if waiting is not None:
                    between = f"{part.name}: lies between {waiting.name} and its neurons; move it behind them"
                    raise NetworkError([between])
                layer: Layer = part.layer
            elif waiting is None:
                found.append(f"{part.name}: expected a linear or convolutional layer just before these neurons")
                continue
            else:
                if flattens and _takes_flat(waiting, shape):
                    layers.append(Flatten())
                    shape = (math.prod(shape),)
                layer = _spiking(waiting, part, shape)
                waiting = None
            layers.append(layer)
            shape = _named(part.name, lambda layer=layer, shape=shape: layer.output_shape(shape))
            if math.prod(shape) > MAX_VALUES:
                raise NetworkError([f"{part.name}: at most {MAX_VALUES} neurons, found shape {shape}"])
    except NetworkError as error:  # what follows has no known shape
        found += error.problems
        waiting = None
    if waiting is not None:
        found.append(f"{waiting.name}: no neurons follow it; the last layer has to spike")
    if found:
        raise Unsupported(f"{source} has no exact network: {'; '.join(found)}")
    try:
        return Network(input_shape, layers, readout, arithmetic)
    except NetworkError as error:
        raise Unsupported(f"{source} has no exact network: {'; '.join(error.problems)}") from error


def _takes_flat(synapse: Synapse, shape: Shape) -> bool:
    size = np.shape(synapse.weight)
    return len(size) == 2 and len(shape) == 3 and size[1] == math.prod(shape)


def _named(name: str, make: Any) -> Any:
    """What `make` returns; its problems get the name of the part."""
    try:
        return make()
    except NetworkError as error:
        raise NetworkError([f"{name}: {problem}" for problem in error.problems]) from error


def _spiking(synapse: Synapse, neurons: Neurons, shape: Shape) -> Layer:
    """The layer of a synapse and its neurons, for an input of `shape`."""
    bare = _named(synapse.name, lambda: _layer(synapse, CubaLIF()))
    out = _named(synapse.name, lambda: bare.output_shape(shape))
    given = {
        "threshold": neurons.threshold,
        "current_decay": neurons.current_decay,
        "voltage_decay": neurons.voltage_decay,
        "bias": neurons.bias,
    }
    problems: list[str] = []
    values: dict[str, FloatArray] = {}
    for name, value in given.items():
        try:
            array = frozen_array(value, name)
            values[name] = array if neurons.as_given else laid_out(array, out, name)
        except NetworkError as error:
            problems += [f"{neurons.name}: {problem}" for problem in error.problems]
    if problems:
        raise NetworkError(problems)
    if synapse.bias is not None:
        values["bias"] = _with_bias(synapse, values, out)
    neuron = _named(neurons.name, lambda: CubaLIF(**values, reset=neurons.reset))
    layer: Layer = _named(synapse.name, lambda: _layer(synapse, neuron))
    return layer


def _layer(synapse: Synapse, neuron: CubaLIF) -> Dense | Conv:
    weight = frozen_array(synapse.weight, "weight")
    if weight.ndim == 4:
        if synapse.delay is not None:
            raise NetworkError(["delays on the inputs of a convolution cannot be expressed"])
        return Conv(weight, neuron, **synapse.geometry)
    return Dense(weight, neuron, synapse.delay, synapse.recurrent)


def laid_out(values: FloatArray, shape: Shape, name: str) -> FloatArray:
    """`values`, which broadcast from the right, as `CubaLIF` takes them: a scalar, one a channel or one a neuron.

    Raises:
        NetworkError: they do not broadcast to `shape`.
    """
    if values.size == 1:
        return values.reshape(())
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    try:
        full = np.broadcast_to(values, shape)
    except ValueError as error:
        expected = f"{name}: expected a scalar or a shape that broadcasts to {shape}"
        raise NetworkError([f"{expected}, found {values.shape}"]) from error
    if len(shape) == 3:
        own = values.reshape((1,) * (3 - values.ndim) + values.shape)
        if own.shape[0] == shape[0] and (own == own[:, :1, :1]).all():
            return own[:, 0, 0] if shape[0] > 1 else own[0, 0, 0]
    return full


def _with_bias(synapse: Synapse, values: dict[str, FloatArray], shape: Shape) -> FloatArray:
    """The neurons' bias together with the synapse's.

    Where the current has a memory, a bias on its input builds up over time, while ours acts on the voltage from the
    first step: the two are the same where current_decay is 1 alone.
    """
    extra = per_channel(frozen_array(synapse.bias, "bias"), shape)
    extra = _named(synapse.name, lambda: laid_out(extra, shape, "bias"))
    if not extra.any():
        return values["bias"]
    decay, added, own = (per_channel(each, shape) for each in (values["current_decay"], extra, values["bias"]))
    if ((decay < 1) & (added != 0)).any():
        raise NetworkError(
            [
                f"{synapse.name}: its bias goes through a filtered current (current_decay below 1), where it builds up "
                "over time; a network's bias acts on the voltage at once. Train these layers with bias=False"
            ]
        )
    return laid_out(np.asarray(own + added), shape, "bias")
