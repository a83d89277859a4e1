"""Numbers of a block, checked against their ranges: an invalid value is recorded as a problem and read as None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.layers import Conv, Dense, Input, Layer, Pair, Shape
from bl_neuro.network import MAX_VALUES, Network
from bl_neuro.strangers.checked_group import CheckedGroup

Rounding = Callable[[Any], Any]
IGNORED_EXPONENT = (
    "delay: netx, Lava's reader of .net files, ignores the weight exponent of a recurrent block with delays"
)


def bounded(block: CheckedGroup, key: str, values: FloatArray | None, low: int, high: int) -> FloatArray | None:
    """`values` if all of them are in low..high, else None."""
    if values is not None and ((values < low) | (values > high)).any():
        block.complain(f"{key}: expected values in {low}..{high}, found {values.min():g}..{values.max():g}")
        return None
    return values


def whole_array(block: CheckedGroup, key: str) -> FloatArray | None:
    """An array of whole numbers, of any shape."""
    values = block.numbers(key)
    if values is not None and (values != np.round(values)).any():
        block.complain(f"{key}: expected whole numbers, found {values[values != np.round(values)][0]:g}")
        return None
    return values


def one_number(block: CheckedGroup, key: str, rounding: Rounding | None = None) -> FloatArray | None:
    """A number of shape () or (1,): an integer, or any number that `rounding` converts to one."""
    values = whole_array(block, key) if rounding is None else block.numbers(key)
    if values is not None and values.shape not in ((), (1,)):
        block.complain(f"{key}: expected one number, found shape {values.shape}")
        return None
    return values if values is None or rounding is None else np.asarray(rounding(values), dtype=np.float64)


def shape_of(block: CheckedGroup, key: str) -> Shape | None:
    """A shape of one to four axes."""
    values = bounded(block, key, whole_array(block, key), 1, MAX_VALUES)
    if values is None:
        return None
    if values.ndim != 1 or values.size > 4:
        block.complain(f"{key}: expected a list of sizes, found shape {values.shape}")
        return None
    return tuple(int(size) for size in values)


def extent_pair(block: CheckedGroup, key: str, positive: bool, largest: int) -> Pair | None:
    """One size for both directions, or (height, width)."""
    values = bounded(block, key, whole_array(block, key), int(positive), largest)
    if values is None:
        return None
    if values.shape not in ((), (2,)):
        block.complain(f"{key}: expected one number or two, found shape {values.shape}")
        return None
    height, width = np.broadcast_to(values, 2)
    return int(height), int(width)


LAVA_EXTENT = 127
"""Largest stride, padding, dilation, kernel side and number of groups: Lava stores them in 8 signed bits."""


def netx_problems(network: Network) -> list[str]:
    """All reasons why a `.net` file cannot hold `network`, a network in Loihi's arithmetic."""
    return [
        f"layer {index}: {problem}" for index, layer in enumerate(network.layers) for problem in _layer_problems(layer)
    ]


def encoding_problem(weight: FloatArray | IntArray, recurrent: FloatArray | IntArray | None) -> str | None:
    """Why netx cannot encode the weights (out, in) and (out, out): it fails, or encodes all of them as zero."""
    parts = [matrix.astype(np.int64) for matrix in (weight, recurrent) if matrix is not None]
    if not any(part.any() for part in parts):
        return "every value is zero, on which netx fails"
    stored, _ = stored_together(parts)
    if any(part.any() for part in stored):
        return None
    low, high = min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)
    return f"netx's encoding turns values of {low}..{high} into zeros"


def synapse_problems(layer: Dense) -> list[str]:
    """Properties of a dense layer in Loihi's arithmetic that netx fails on or computes differently."""
    problem = encoding_problem(layer.weight, layer.recurrent)
    problems = [] if problem is None else [f"weight: {problem}"]
    if layer.delay is not None and layer.recurrent is not None:
        problems.append(IGNORED_EXPONENT)
    return problems


def _layer_problems(layer: Layer) -> list[str]:
    problems = []
    if isinstance(layer, Dense):
        problems += synapse_problems(layer)
    elif isinstance(layer, Conv):
        sizes = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": (layer.groups,),
        }
        sizes["kernel"] = (layer.weight.shape[2], layer.weight.shape[3])
        for name, values in sizes.items():
            if max(values) > LAVA_EXTENT:
                problems.append(f"{name}: expected at most {LAVA_EXTENT} in Lava, found {max(values)}")
    elif isinstance(layer, Input):
        for name, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array.size > 1:
                problems.append(f"{name}: expected one value for all input neurons in netx, found {array.size}")
        if np.any(getattr(layer.neuron, "bias", 0)):
            problems.append("bias of the neurons: netx does not support one for input neurons")
    if getattr(getattr(layer, "neuron", None), "activation", "relu") != "relu":
        problems.append("activation: expected 'relu', which netx always applies, found 'unit'")
    return problems
