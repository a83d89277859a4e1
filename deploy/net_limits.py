"""What keeps netx from reading a network in Loihi's arithmetic as it is stated: its gaps, not Loihi's."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.layers import Conv, Dense, Input, Layer
from bl_neuro.network import Network

LAVA_EXTENT = 127
"""Largest stride, padding, dilation, kernel side and number of groups: Lava keeps them in 8 bits, signed."""


def netx_problems(network: Network) -> list[str]:
    """Everything that keeps a `.net` file from holding `network`, which is in Loihi's arithmetic."""
    return [
        f"layer {index}: {problem}" for index, layer in enumerate(network.layers) for problem in _layer_problems(layer)
    ]


def encoding_problem(weight: FloatArray | IntArray, recurrent: FloatArray | IntArray | None) -> str | None:
    """Why netx cannot encode these weights (out, in) and (out, out): it fails on them, or turns them into nothing."""
    parts = [each.astype(np.int64) for each in (weight, recurrent) if each is not None]
    if not any(part.any() for part in parts):
        return "every value is zero, on which netx fails"
    stored, _ = stored_together(parts)
    if any(part.any() for part in stored):
        return None
    low, high = min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)
    return f"netx's encoding turns values of {low}..{high} into zeros"


def synapse_problems(layer: Dense) -> list[str]:
    """What netx makes wrong or fails on in a dense layer in Loihi's arithmetic: what it computes is not stated."""
    problem = encoding_problem(layer.weight, layer.recurrent)
    problems = [] if problem is None else [f"weight: {problem}"]
    if layer.delay is not None and layer.recurrent is not None:
        problems.append("delay: netx drops the weights' exponent in a recurrent block with delays")
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
                problems.append(f"{name}: at most {LAVA_EXTENT} in Lava, found {max(values)}")
    elif isinstance(layer, Input):
        for name, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array.size > 1:
                problems.append(f"{name}: netx has one for all input neurons, found {array.size}")
        if layer.neuron.bias.any():
            problems.append("bias of the neurons: netx gives input neurons none")
    return problems
