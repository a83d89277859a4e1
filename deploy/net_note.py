"""What a `.net` file cannot say, in a note of its own that netx does not look at: the dataset `bl_neuro`, JSON bytes.

readout: how the network names its class. shapes: of parameters, so that a scalar and the same value stated a neuron,
which netx does not tell apart, come back as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.hdf5_access import CheckedGroup
from bl_neuro.errors import NetworkError
from bl_neuro.layers import SPIKING, Conv, Dense, Input, Layer, Shape
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, per_channel

KEY = "bl_neuro"
MOST_BYTES = 2**20
PARAMETERS = ("threshold", "current_decay", "voltage_decay", "bias")


def note_of(network: Network) -> bytes:
    """The note to `network`."""
    weights = tuple(f"layers.{index}.weight" for index, layer in enumerate(network.layers) if layer_has_matrix(layer))
    shapes = {name: list(array.shape) for name, array in network.arrays().items() if name not in weights}
    return json.dumps({"readout": network.readout, "shapes": shapes}, sort_keys=True).encode()


def layer_has_matrix(layer: Layer) -> bool:
    """Whether the layer's weights are a matrix or kernels, whose shape the file states."""
    return isinstance(layer, (Dense, Conv))


def with_note(network: Network, root: CheckedGroup) -> Network:
    """`network` as read, with what the file's note adds, if it has one; problems are noted on `root`."""
    if KEY not in root.keys():  # noqa: SIM118 - not a dict
        return network
    values = root.numbers(KEY)
    if values is None:
        return network
    try:
        if values.ndim != 1 or values.size > MOST_BYTES or ((values < 0) | (values > 255)).any():
            raise ValueError(f"expected up to {MOST_BYTES} bytes, found shape {values.shape}")
        note = json.loads(values.astype(np.uint8).tobytes())
        if not isinstance(note, dict) or not isinstance(note.get("shapes"), dict):
            raise ValueError("expected an object with 'readout' and 'shapes'")
        layers = [
            _reshaped(layer, f"layers.{index}", shape, note["shapes"]) if isinstance(layer, SPIKING) else layer
            for index, (layer, shape) in enumerate(zip(network.layers, network.shapes))
        ]
        return Network(network.input_shape, layers, note["readout"], "loihi")
    except (NetworkError, ValueError, TypeError, KeyError, RecursionError) as error:
        root.complain(f"{KEY}: not a note to this network ({' '.join(str(error).split())[:120]})")
        return network


def _reshaped(layer: Input | Dense | Conv, name: str, shape: Shape, shapes: dict[str, Any]) -> Layer:
    def noted(parameter: str, values: FloatArray, full: Shape) -> FloatArray:
        wanted = shapes.get(f"{name}.{parameter}")
        return values if wanted is None else _in_shape(values, tuple(wanted), full)

    had = layer.neuron.parameters()
    threshold, current_decay, voltage_decay, bias = (noted(each, had[each], shape) for each in PARAMETERS)
    neuron = CubaLIF(threshold, current_decay, voltage_decay, bias)
    if isinstance(layer, Input):
        return Input(noted("weight", layer.weight, shape), neuron, noted("input_bias", layer.bias, shape))
    if isinstance(layer, Dense):
        delay = None if layer.delay is None else noted("delay", layer.delay, (shape[0], layer.weight.shape[1]))
        return Dense(layer.weight, neuron, delay, layer.recurrent)
    return Conv(layer.weight, neuron, layer.stride, layer.padding, layer.dilation, layer.groups)


def _in_shape(values: FloatArray, wanted: tuple[Any, ...], full: Shape) -> FloatArray:
    """The same values, one a neuron or fewer, in the shape `wanted`. ValueError where they are not the same."""
    if values.shape == wanted:
        return values
    each = np.broadcast_to(per_channel(values, full), full)
    allowed: Iterable[Shape] = ((), (1,), full, full[:1], (*full[:1], *[1] * (len(full) - 1)), (1, *full[1:]))
    if wanted not in (*allowed, (1,) * len(full)):
        raise ValueError(f"shape {wanted} for values of {full}"[:100])
    index = tuple(slice(None) if size == there else 0 for size, there in zip(_aligned(wanted, full), full))
    found: FloatArray = each[index].reshape(wanted)
    if not np.array_equal(np.broadcast_to(per_channel(found, full), full), each):
        raise ValueError(f"shape {wanted}, but the values differ")
    return found


def _aligned(wanted: Shape, full: Shape) -> Shape:
    """`wanted` with as many axes as `full`: a vector is over the first one."""
    return (*wanted, *[1] * (len(full) - len(wanted)))
