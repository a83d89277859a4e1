"""The parts of a foreign model assembled into a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError, Unsupported
from bl_neuro.interop.parts import Neurons, Normalization, Part, Step, Synapse, Unread
from bl_neuro.interop.synapse_folds import folded, with_recurrence
from bl_neuro.layers import Conv, Dense, Flatten, Layer, Shape
from bl_neuro.network import MAX_VALUES, Arithmetic, Network, Readout, checked_input_shape
from bl_neuro.neuron import CubaLIF, frozen_array, per_channel


def assemble(
    parts: Sequence[Part],
    input_shape: Iterable[int],
    source: str,
    problems: Sequence[str] = (),
    readout: Readout = "spikes",
    arithmetic: Arithmetic = "real",
    flattens: bool = False,
) -> Network:
    """Assembles `parts` into a network, each synapse with the neurons that follow it.

    source: origin of the parts, for messages. problems: problems that are already known. flattens: whether to insert a
    Flatten where dense weights have one input per pixel of an image, for models that flatten between their layers.

    Raises:
        Unsupported: there are problems; all that do not follow from others are listed.
        InputError: input_shape is not the shape of a frame.
    """
    all_problems = list(problems)
    layers: list[Layer] = []
    input_shape = shape = checked_input_shape(input_shape)
    pending: Synapse | None = None
    shape_unknown = False
    try:
        for part in parts:
            if isinstance(part, Synapse):
                if pending is not None:
                    all_problems.append(f"{pending.name}: expected neurons after it, found {part.name}")
                    shape_unknown = True
                pending = part
                continue
            if shape_unknown or isinstance(part, Unread):
                pending = None
                break
            if isinstance(part, Normalization) or (isinstance(part, Step) and pending is not None):
                pending = _with_name(part.name, lambda part=part, pending=pending: folded(pending, part))
                continue
            if isinstance(part, Step):
                layer: Layer = part.layer
            elif pending is None:
                all_problems.append(f"{part.name}: expected a linear or convolutional layer just before these neurons")
                continue
            else:
                if flattens and _takes_flat(pending, shape):
                    layers.append(Flatten())
                    shape = (math.prod(shape),)
                if part.recurrent is not None:
                    pending = _with_name(part.name, lambda part=part, pending=pending: with_recurrence(pending, part))
                layer = _spiking(pending, part, shape)
                pending = None
            layers.append(layer)
            shape = _with_name(part.name, lambda layer=layer, shape=shape: layer.output_shape(shape))
            if math.prod(shape) > MAX_VALUES:
                raise NetworkError([f"{part.name}: expected at most {MAX_VALUES} neurons, found shape {shape}"])
    except NetworkError as error:  # the shapes of the following parts are unknown
        all_problems += error.problems
        pending = None
    if pending is not None:
        all_problems.append(
            f"{pending.name}: expected neurons after it, since the last layer must spike; add some, count their "
            "spikes, and train again"
        )
    if all_problems:
        raise Unsupported(f"{source} cannot be converted to an identical bl_neuro.Network: {'; '.join(all_problems)}")
    try:
        return Network(input_shape, layers, readout, arithmetic)
    except NetworkError as error:
        raise Unsupported(
            f"{source} cannot be converted to an identical bl_neuro.Network: {'; '.join(error.problems)}"
        ) from error


def _takes_flat(synapse: Synapse, shape: Shape) -> bool:
    size = np.shape(synapse.weight)
    return len(size) == 2 and len(shape) == 3 and size[1] == math.prod(shape)


def _with_name(name: str, make: Any) -> Any:
    """The result of `make`; the name of the part is added to its problems."""
    try:
        return make()
    except NetworkError as error:
        raise NetworkError([f"{name}: {problem}" for problem in error.problems]) from error


def _spiking(synapse: Synapse, neurons: Neurons, shape: Shape) -> Layer:
    """The layer of a synapse and its neurons, for an input of `shape`."""
    bare = _with_name(synapse.name, lambda: _layer(synapse, CubaLIF()))
    out = _with_name(synapse.name, lambda: bare.output_shape(shape))
    parameters = {
        "threshold": neurons.threshold,
        "current_decay": neurons.current_decay,
        "voltage_decay": neurons.voltage_decay,
        "bias": neurons.bias,
    }
    problems: list[str] = []
    values: dict[str, FloatArray] = {}
    for name, value in parameters.items():
        try:
            array = frozen_array(value, name)
            values[name] = array if neurons.as_given else laid_out(array, out, name)
        except NetworkError as error:
            problems += [f"{neurons.name}: {problem}" for problem in error.problems]
    if problems:
        raise NetworkError(problems)
    current_bias = None
    if synapse.bias is not None and neurons.as_given:
        current_bias = frozen_array(synapse.bias, "bias")
    elif synapse.bias is not None:
        values["bias"], current_bias = _with_bias(synapse, values, out)
    neuron = _with_name(neurons.name, lambda: CubaLIF(**values, reset=neurons.reset))
    layer: Layer = _with_name(synapse.name, lambda: _layer(synapse, neuron, current_bias))
    return layer


def _layer(synapse: Synapse, neuron: CubaLIF, current_bias: FloatArray | None = None) -> Dense | Conv:
    weight = frozen_array(synapse.weight, "weight")
    if weight.ndim == 4:
        if synapse.delay is not None or synapse.recurrent is not None:
            raise NetworkError(["delays and recurrent synapses of a convolution are not supported"])
        return Conv(weight, neuron, **synapse.geometry, current_bias=current_bias)
    return Dense(weight, neuron, synapse.delay, synapse.recurrent, current_bias)


def laid_out(values: FloatArray, shape: Shape, name: str) -> FloatArray:
    """`values`, which broadcast from the right, in the form `CubaLIF` expects: a scalar, one per channel or per neuron.

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
        image = values.reshape((1,) * (3 - values.ndim) + values.shape)
        if image.shape[0] == shape[0] and (image == image[:, :1, :1]).all():
            return image[:, 0, 0] if shape[0] > 1 else image[0, 0, 0]
    return full


def _with_bias(synapse: Synapse, values: dict[str, FloatArray], shape: Shape) -> tuple[FloatArray, FloatArray | None]:
    """The bias of the neurons and that of the current, of a synapse with a bias.

    The synapse's bias acts on the current and the neurons' bias on the voltage. They are equivalent where current_decay
    is 1, and then added, since elsewhere the current accumulates its bias over time.
    """
    extra = per_channel(frozen_array(synapse.bias, "bias"), shape)
    extra = _with_name(synapse.name, lambda: laid_out(extra, shape, "bias"))
    if not extra.any():
        return values["bias"], None
    decay, added, neuron_bias = (
        per_channel(array, shape) for array in (values["current_decay"], extra, values["bias"])
    )
    if ((decay < 1) & (added != 0)).any():
        channels = np.broadcast_to(added, shape).reshape(shape[0], -1)
        if (channels != channels[:, :1]).any():
            raise NetworkError([f"{synapse.name}: bias: expected one value per channel of a current with a memory"])
        return values["bias"], channels[:, 0]
    return laid_out(np.asarray(neuron_bias + added), shape, "bias"), None
