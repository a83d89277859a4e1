"""From the blocks of a `.net` file to layers: input, flatten, dense, dense_rec and conv, each fully validated.

Shapes in files are channels first, as in bl_neuro; arrays with one value per neuron of an image are width first, as in
netx.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.net_neuron import block_neuron, layer_bias, never_firing_neuron
from bl_neuro.deploy.net_values import (
    IGNORED_EXPONENT,
    LAVA_EXTENT,
    bounded,
    encoding_problem,
    extent_pair,
    one_number,
    shape_of,
    whole_array,
)
from bl_neuro.errors import DelaysShortened, KernelSizeIgnored, NetworkError
from bl_neuro.layers import MAX_DELAY, Conv, Dense, Flatten, Input, Layer, Shape
from bl_neuro.loihi_numbers import WEIGHT_RANGE
from bl_neuro.strangers.checked_group import CheckedGroup

NOT_IN_NETX = ("pool", "average", "concat", "unpool", "convT")
MOST_STATED_DELAY = 2**20
"""Largest delay that is read."""
DENSE_KEYS = ("type", "shape", "neuron", "weight", "bias", "delay", "inFeatures", "outFeatures")
GEOMETRY_KEYS = ("inChannels", "outChannels", "kernelSize", "stride", "padding", "dilation", "groups")


@dataclass
class Chain:
    """The layers read so far.

    shape: their output shape, None where a problem hides it. input_shape: input shape of the network, if known before
    the first block is read. broken: whether a block could not be read.
    """

    input_shape: Shape | None = None
    layers: list[Layer] = field(default_factory=list)
    shape: Shape | None = None
    broken: bool = False

    def __post_init__(self) -> None:
        self.shape = self.input_shape

    def start(self, shape: Shape) -> None:
        """Sets the input shape of the network, as its first block declares it."""
        self.input_shape = self.shape = shape

    def append(self, block: CheckedGroup, layer: Layer | None, declared: Shape | None) -> None:
        """Adds a layer; where the layer has a problem, continues with the shape that the file declares."""
        if layer is None or self.shape is None:
            self.shape, self.broken = declared, True
            return
        self.layers.append(layer)
        try:
            actual: Shape | None = layer.output_shape(self.shape)
        except NetworkError as error:
            for problem in error.problems:
                block.complain(problem)
            actual = None
        if actual is not None and declared is not None and math.prod(actual) != math.prod(declared):
            block.complain(f"shape: expected {actual}, found {declared}")
        self.shape = declared if actual is None else actual


def add_block(chain: Chain, block: CheckedGroup, index: int) -> None:
    """Reads one block of a file and adds its layers to `chain`; problems are recorded on the block."""
    kind = block.text("type")
    if kind is None:
        chain.append(block, None, None)
        return
    labelled = CheckedGroup(block.tree, f"{block.place} ({kind[:20]})", block.problems)
    if kind in READERS:
        if kind == "input" and index > 0:
            labelled.complain("an input block can only be the first block")
            return
        READERS[kind](chain, labelled)
        return
    if kind in NOT_IN_NETX:
        reason = "netx does not implement it; read the blocks before it with layers="
    elif kind == "dense_comp":
        reason = "complex weights belong to resonate-and-fire neurons, which bl_neuro does not have"
    else:
        reason = f"unknown; expected one of {', '.join(READERS)}"
    labelled.complain(f"block '{kind[:20]}': {reason}")
    chain.append(labelled, None, None)


def _input(chain: Chain, block: CheckedGroup) -> None:
    keys = _keys(block, ("type", "shape", "neuron", "weight", "bias"))
    shape = shape_of(block, "shape")
    if shape is not None and len(shape) not in (1, 3):
        block.complain(f"shape: expected (features,) or (channels, height, width), found {shape}")
        shape = None
    if shape is not None and chain.input_shape not in (None, shape):
        block.complain(f"shape: expected {chain.input_shape}, the given input_shape, found {shape}")
    elif shape is not None:
        chain.start(shape)
    if "neuron" not in keys:
        for key in sorted({"weight", "bias"} & set(keys)):
            block.complain(f"{key}: has no effect without a neuron group")
        return
    drive = {key: _netx_int(block, key, keys, default) for key, default in (("weight", 64), ("bias", 0))}
    neuron: Any = block_neuron(block, shape, keys, is_input=True)
    layer = None
    if neuron is not None and drive["weight"] is not None and drive["bias"] is not None:
        layer = Input(drive["weight"], neuron, drive["bias"])
    chain.append(block, layer, shape)


def _netx_int(block: CheckedGroup, key: str, keys: list[str], default: int) -> FloatArray | None:
    """One number, rounded toward zero like in netx."""
    if key not in keys:
        return np.array(float(default))
    return bounded(block, key, one_number(block, key, np.trunc), *WEIGHT_RANGE)


def _flatten(chain: Chain, block: CheckedGroup) -> None:
    _keys(block, ("type", "shape"))
    if chain.input_shape is None and not chain.broken:  # a first block that only declares a shape
        declared = shape_of(block, "shape")
        if declared is not None:
            chain.start((math.prod(declared),))
        return
    if chain.shape is not None and len(chain.shape) != 3 and chain.layers:
        block.complain(f"expected an image as input, found shape {chain.shape}, which netx cannot flatten")
    chain.append(block, Flatten(), None)


def _dense(chain: Chain, block: CheckedGroup, recurrent: bool = False) -> None:
    keys = _keys(block, (*DENSE_KEYS, "weight_rec") if recurrent else DENSE_KEYS)
    declared = shape_of(block, "shape")
    neurons = None if declared is None else math.prod(declared)
    weight = _matrix(block, "weight", neurons)
    loops = _matrix(block, "weight_rec", neurons) if recurrent else None
    if loops is not None and loops.shape[0] != loops.shape[1]:
        block.complain(f"weight_rec: expected a square matrix, found shape {loops.shape}")
        loops = None
    if weight is not None and (loops is not None or not recurrent):
        problem = encoding_problem(weight, loops)
        if problem is not None:
            block.complain(f"weight: {problem}")
    delay = _delay(block, weight) if "delay" in keys else None
    if recurrent and "delay" in keys:
        block.complain(IGNORED_EXPONENT)
    out = (neurons,) if neurons is not None else None
    has_group = "neuron" in keys
    neuron: Any = block_neuron(block, out, keys) if has_group else never_firing_neuron(layer_bias(block, out, keys))
    if weight is not None:
        _check_features(block, keys, weight)
        _flatten_before(chain, block, weight.shape[1])
    complete = weight is not None and neuron is not None and (loops is not None or not recurrent)
    layer = _made(block, lambda: Dense(weight, neuron, delay, loops)) if complete and neuron is not None else None
    chain.append(block, layer, out)


def _dense_rec(chain: Chain, block: CheckedGroup) -> None:
    _dense(chain, block, recurrent=True)


def _matrix(block: CheckedGroup, key: str, neurons: int | None) -> FloatArray | None:
    """A matrix (out, in), which may be stored as a flat list row by row; rounded toward zero like in netx."""
    values = block.numbers(key) if neurons is not None else None
    values = None if values is None else bounded(block, key, np.trunc(values), *WEIGHT_RANGE)
    if values is None or neurons is None:
        return None
    if values.ndim == 1 and values.size % neurons == 0:
        values = values.reshape(neurons, -1)
    if values.ndim != 2 or values.shape[0] != neurons:
        block.complain(f"{key}: expected shape (out, in) with {neurons} rows, found {values.shape}")
        return None
    return values


def _delay(block: CheckedGroup, weight: FloatArray | None) -> FloatArray | None:
    """Delays that broadcast to (out, in): a vector has one value per row if its length fits, else one per column."""
    values = bounded(block, "delay", whole_array(block, "delay"), 0, MOST_STATED_DELAY)
    if values is None or weight is None:
        return None
    if (values > MAX_DELAY).any():
        warnings.warn(
            f"{block.place}: delay: netx shortens delays above {MAX_DELAY} time steps to {MAX_DELAY}, and so does this "
            f"reader; found up to {values.max():g}",
            DelaysShortened,
            stacklevel=2,
        )
        values = np.minimum(values, MAX_DELAY)
    rows, columns = weight.shape
    if values.ndim == 0:
        return values
    if values.shape == (rows,):
        return values.reshape(-1, 1)
    if values.shape == (columns,):
        return values.reshape(1, -1)
    if values.shape != (rows, columns):
        block.complain(f"delay: expected a scalar, {rows} or {columns} values or {rows, columns}, found {values.shape}")
    return values


def _check_features(block: CheckedGroup, keys: list[str], weight: FloatArray) -> None:
    for key, size in (("inFeatures", weight.shape[1]), ("outFeatures", weight.shape[0])):
        declared = one_number(block, key) if key in keys else None
        if declared is not None and declared.item() != size:
            block.complain(f"{key}: expected {size}, to match the weights, found {declared.item():g}")


def _flatten_before(chain: Chain, block: CheckedGroup, features: int) -> None:
    """Input of a dense block: a first block may declare it, or take an image whose shape only the file declares."""
    if chain.input_shape is None and not chain.broken:
        chain.start((features,))
    elif chain.shape is not None and len(chain.shape) == 3 and not chain.broken:
        if not chain.layers:
            chain.append(block, Flatten(), None)
        else:
            block.complain(
                f"expected a vector as input, found an image {chain.shape}; netx needs a flatten block in between"
            )


def _conv(chain: Chain, block: CheckedGroup) -> None:
    keys = _keys(block, ("type", "shape", "neuron", "weight", "bias", "delay", *GEOMETRY_KEYS))
    delay = block.numbers("delay") if "delay" in keys else None
    if delay is not None and delay.any():
        block.complain("delay: netx ignores it in a convolution; expected 0")
    declared = shape_of(block, "shape")
    if declared is not None and len(declared) != 3:
        block.complain(f"shape: expected (channels, height, width), found {declared}")
        declared = None
    if chain.input_shape is None and not chain.broken:
        block.complain(
            "the file does not declare the shape of the input image: give input_shape=(channels, height, width), or "
            "--input-shape CHANNELS,HEIGHT,WIDTH on the command line"
        )
    weight = _kernels(block)
    pairs = {key: extent_pair(block, key, key != "padding", LAVA_EXTENT) for key in ("stride", "padding", "dilation")}
    groups = bounded(block, "groups", one_number(block, "groups"), 1, LAVA_EXTENT)
    neuron: Any = block_neuron(block, declared, keys) if "neuron" in keys else None
    if "neuron" not in keys:
        layer_bias(block, declared, keys)
        block.complain("neuron: missing; only a dense block may omit it")
    layer = None
    if weight is not None and neuron is not None and groups is not None and None not in pairs.values():
        layer = _made(block, lambda: Conv(weight, neuron, **pairs, groups=int(groups.item())))
    if isinstance(layer, Conv):
        _check_channels(block, keys, layer)
    layer_count = len(chain.layers)
    chain.append(block, layer, declared)
    if len(chain.layers) > layer_count and declared is not None and chain.shape not in (None, declared):
        block.complain(f"shape: expected {chain.shape}, found {declared}")


def _kernels(block: CheckedGroup) -> FloatArray | None:
    """Weights (out, in/groups, h, w), with an optional last axis of size 1 for time."""
    values = block.numbers("weight")
    values = None if values is None else bounded(block, "weight", np.trunc(values), *WEIGHT_RANGE)
    if values is None:
        return None
    if values.ndim == 5 and values.shape[4] == 1:
        values = values[..., 0]
    if values.ndim != 4 or max(values.shape[2:]) > LAVA_EXTENT:
        expected = f"(out, in/groups, h, w) with h and w up to {LAVA_EXTENT}"
        block.complain(f"weight: expected shape {expected}, found {values.shape}")
        return None
    return values


def _check_channels(block: CheckedGroup, keys: list[str], layer: Conv) -> None:
    out, inner = layer.weight.shape[:2]
    for key, size in (("inChannels", inner * layer.groups), ("outChannels", out)):
        declared = one_number(block, key) if key in keys else None
        if declared is not None and declared.item() != size:
            block.complain(f"{key}: expected {size}, to match the weights, found {declared.item():g}")
    kernel = extent_pair(block, "kernelSize", True, LAVA_EXTENT) if "kernelSize" in keys else None
    if kernel is not None and kernel != layer.weight.shape[2:]:
        warnings.warn(
            f"{block.place}: kernelSize: expected {layer.weight.shape[2:]}, to match the weights, found {kernel}; "
            "Lava's reader ignores it, and so does this one",
            KernelSizeIgnored,
            stacklevel=2,
        )


def _keys(block: CheckedGroup, allowed: tuple[str, ...]) -> list[str]:
    keys = block.keys()
    for key in keys:
        if key not in allowed:
            block.complain(f"{key[:40]}: unknown key, whose effect is unknown; remove it if it has none")
    return keys


def _made(block: CheckedGroup, make: Callable[[], Layer]) -> Layer | None:
    try:
        return make()
    except NetworkError as error:
        for problem in error.problems:
            block.complain(problem)
        return None


READERS: dict[str, Callable[[Chain, CheckedGroup], None]] = {
    "input": _input,
    "flatten": _flatten,
    "dense": _dense,
    "dense_rec": _dense_rec,
    "conv": _conv,
}
