"""Reading Lava's netx HDF5 format, `.net`, into a network in Loihi's arithmetic with exactly the file's integers.

A file is read as lava-dl 0.6.0's `netx.hdf5.Network` reads it, or rejected: where netx would ignore something that
changes the answer, clip all weights to zero or fail, the file has a problem. All problems of a file are reported
together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import whole_number
from bl_neuro.deploy.net_blocks import Chain, add_block
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.layers import SPIKING, Conv, Dense, Input, Layer, Shape
from bl_neuro.loihi_numbers import THRESHOLD_MAX
from bl_neuro.network import Network, Readout, checked_input_shape
from bl_neuro.neuron import CubaLIF, per_channel
from bl_neuro.sigma_delta import SIGMA_DELTA, sigma_delta_neuron
from bl_neuro.strangers.checked_group import CheckedGroup
from bl_neuro.strangers.hdf5_file import read_hdf5

MAX_BLOCKS = 256


def read_net(path: str | Path, layers: int | None = None, input_shape: Iterable[int] | None = None) -> Network:
    """The network of a `.net` file, with every value as stored in the file.

    layers: number of blocks to read, for files whose later blocks are not supported; by default all.
    input_shape: shape of one frame, (features,) or (channels, height, width), for files whose first block does not
    declare it (Lava-DL's exports without an input block). If the file declares a shape, both must agree.

    Raises:
        ModelFileError: the file is missing, damaged or too large, or contains something that cannot be computed
            exactly; the attribute `problems` lists everything.
        InputError: layers is not a whole number of at least 1, or input_shape is not a valid shape.
    """
    count = None if layers is None else whole_number(layers)
    if layers is not None and (count is None or count < 1):
        raise InputError(f"layers: expected a whole number of at least 1, found {layers!r}")
    shape = None if input_shape is None else checked_input_shape(input_shape)
    source = Path(path)
    problems: list[str] = []
    root = CheckedGroup(read_hdf5(source, "a .net file", chunks=False), "file", problems)
    network = _network(root, count, shape)
    if network is None or problems:
        raise ModelFileError(f"{source}: {'; '.join(_merged(problems))}", problems)
    return network


def _merged(problems: list[str]) -> list[str]:
    """The problems, with equal problems of several blocks merged: "block 1 (conv), block 2 (conv): ..."."""
    places: dict[str, list[str]] = {}
    for problem in problems:
        place, _, text = problem.partition(": ")
        places.setdefault(text, []).append(place)
    return [f"{_listed(block_names)}: {text}" for text, block_names in places.items()]


def _listed(places: list[str]) -> str:
    rest = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(places[:3]) + rest


def _network(root: CheckedGroup, count: int | None, input_shape: Shape | None) -> Network | None:
    """The network of the file; None if there are problems."""
    listed = root.group("layer", "layer")
    chain = Chain(input_shape)
    for index, block in enumerate([] if listed is None else _numbered_blocks(listed, count)):
        add_block(chain, block, index)
    if root.problems:
        return None
    if chain.input_shape is None:
        root.complain("expected at least one block with neurons")
        return None
    try:
        network = Network(chain.input_shape, chain.layers, natural_readout(chain.layers), "loihi")
    except NetworkError as error:
        root.problems.extend(error.problems)
        return None
    return with_note(network, root)


def natural_readout(layers: Any) -> Readout:
    """The readout of a network with these layers: the membrane potential if its last neurons cannot fire.

    Sigma-delta networks have one readout, their output values.
    """
    neurons = [layer.neuron for layer in layers if hasattr(layer, "neuron")]
    if any(isinstance(neuron, SIGMA_DELTA) for neuron in neurons):
        return "values"
    return "membrane" if neurons and neurons[-1].threshold.max() >= THRESHOLD_MAX - 1 else "spikes"


def _numbered_blocks(listed: CheckedGroup, count: int | None) -> list[CheckedGroup]:
    """The first `count` blocks, or all of them, in order."""
    keys = listed.keys()
    if len(keys) > MAX_BLOCKS:
        listed.complain(f"at most {MAX_BLOCKS} blocks, found {len(keys)}")
        return []
    missing = sorted({str(index) for index in range(len(keys))} - set(keys), key=int)
    if missing or not keys:
        listed.complain(f"expected blocks numbered from 0, found {', '.join(keys[:8])[:120] or 'none'}")
        return []
    if count is not None and count > len(keys):
        listed.complain(f"expected {count} blocks, as requested, found {len(keys)}")
        return []
    blocks = [listed.group(str(index), f"block {index}") for index in range(len(keys) if count is None else count)]
    return [block for block in blocks if block is not None]


KEY = "bl_neuro"
MOST_BYTES = 2**20


def note_of(network: Network) -> bytes:
    """The note on `network`, as JSON: its readout, and parameter shapes that netx's layout does not preserve."""
    weights = tuple(f"layers.{index}.weight" for index, layer in enumerate(network.layers) if layer_has_matrix(layer))
    shapes = {name: list(array.shape) for name, array in network.arrays().items() if name not in weights}
    return json.dumps({"readout": network.readout, "shapes": shapes}, sort_keys=True).encode()


def layer_has_matrix(layer: Layer) -> bool:
    """Whether the layer's weights are a matrix or kernels, whose shape the file stores."""
    return isinstance(layer, (Dense, Conv))


def with_note(network: Network, root: CheckedGroup) -> Network:
    """`network` with the readout and parameter shapes of the file's note, if any; problems are recorded on `root`."""
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
        root.complain(f"{KEY}: the note does not match this network ({' '.join(str(error).split())[:120]})")
        return network


def _reshaped(layer: Input | Dense | Conv, name: str, shape: Shape, shapes: dict[str, Any]) -> Layer:
    def noted(parameter: str, values: FloatArray, full: Shape) -> FloatArray:
        shape_in_note = shapes.get(f"{name}.{parameter}")
        return values if shape_in_note is None else _in_shape(values, tuple(shape_in_note), full)

    parameters = {key: noted(key, values, shape) for key, values in layer.neuron.parameters().items()}
    if isinstance(layer.neuron, SIGMA_DELTA):
        neuron: Any = sigma_delta_neuron(layer.neuron.kind, parameters)
    else:
        neuron = CubaLIF(**parameters)  # type: ignore[arg-type]  # the four numeric ones
    if isinstance(layer, Input):
        return Input(noted("weight", layer.weight, shape), neuron, noted("input_bias", layer.bias, shape))
    if isinstance(layer, Dense):
        delay = None if layer.delay is None else noted("delay", layer.delay, (shape[0], layer.weight.shape[1]))
        return Dense(layer.weight, neuron, delay, layer.recurrent)
    return Conv(layer.weight, neuron, layer.stride, layer.padding, layer.dilation, layer.groups)


def _in_shape(values: FloatArray, target: tuple[Any, ...], full: Shape) -> FloatArray:
    """The same values, at most one per neuron, in the shape `target`. ValueError if they cannot be equal."""
    if values.shape == target:
        return values
    expanded = np.broadcast_to(per_channel(values, full), full)
    allowed: Iterable[Shape] = ((), (1,), full, full[:1], (*full[:1], *[1] * (len(full) - 1)), (1, *full[1:]))
    if target not in (*allowed, (1,) * len(full)):
        raise ValueError(f"shape {target} for values of {full}"[:100])
    index = tuple(slice(None) if size == full_size else 0 for size, full_size in zip(_aligned(target, full), full))
    result: FloatArray = expanded[index].reshape(target)
    if not np.array_equal(np.broadcast_to(per_channel(result, full), full), expanded):
        raise ValueError(f"shape {target}, but the values differ")
    return result


def _aligned(target: Shape, full: Shape) -> Shape:
    """`target` with as many axes as `full`: a vector runs over the first axis."""
    return (*target, *[1] * (len(full) - len(target)))
