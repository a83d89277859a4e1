"""Sizes that a NIR file states besides its weights, compared with those of the network that was read from it.

A file that contradicts itself is refused, as the package `nir` does: the writer had another network in mind.

    Input, Output   shape            Conv2d    input_shape, its bias         neurons   the shape of every parameter,
    Affine          its bias         Flatten   input_type, start and end               or no axes for a single value
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_nodes import Convention, whole_numbers
from bl_neuro.layers import Shape
from bl_neuro.network import Network
from bl_neuro.strangers.tree_frames import Tree

Nodes = Sequence[tuple[str, Tree]]


def frame_shape(nodes: Nodes, convention: Convention) -> tuple[Shape, Shape]:
    """The shape of one frame that the Input states, and the batch axis in front of it, () if there is none.

    Only Norse's exporter writes a batch axis.

    Raises:
        NetworkError: the shape is missing, or no network has such an input.
    """
    name, node = nodes[0]
    shape = _stated(f"node {name}", node, "shape")
    if shape is None:
        raise NetworkError([f"node {name} (Input): 'shape' is missing"])
    batch = shape[:1] if convention == "norse" and len(shape) in (2, 4) else ()
    frame = shape[len(batch) :]
    if min(frame, default=0) < 1 or (len(frame) not in (1, 3) and not starts_flat(nodes, frame)):
        raise NetworkError(
            [
                f"node {name}: shape {shape}: expected that of one frame without a batch axis, (features,) or "
                "(channels, height, width), or any with a Flatten as the next node"
            ]
        )
    return frame, batch


def starts_flat(nodes: Nodes, frame: Shape) -> bool:
    """Whether the first node flattens frames that have neither one axis nor three, so that the network starts flat."""
    return len(frame) not in (1, 3) and len(nodes) > 1 and nodes[1][1].get("type") == "Flatten"


def need_stated_shapes(nodes: Nodes, network: Network, frame: Shape, batch: Shape) -> None:
    """Compares all stated sizes with those of the network.

    Raises:
        NetworkError: they differ; all differences are listed.
    """
    problems: list[str] = []
    shapes = list(network.shapes)
    if starts_flat(nodes, frame):
        shapes.insert(0, (math.prod(frame),))
    before, index = frame, 0
    for name, node in nodes[1:-1]:
        after = shapes[index]
        problems += [f"node {name} ({node['type']}): {problem}" for problem in _problems(name, node, before, after)]
        if node["type"] not in ("Linear", "Affine", "Conv2d"):  # these form one layer with the neurons that follow
            before, index = after, index + 1
    name, node = nodes[-1]
    stated = _stated(f"node {name}", node, "shape")
    if stated not in (before, (*batch, *before)):
        problems.append(f"node {name} (Output): shape: expected {before}, found {stated}")
    if problems:
        raise NetworkError(problems)


def _problems(name: str, node: Tree, before: Shape, after: Shape) -> list[str]:
    """Differences between the sizes of one node and the shapes before it and after its layer."""
    kind = node["type"]
    if kind in ("Affine", "Conv2d"):
        expected = node["weight"].shape[:1]
        problems = [] if node["bias"].shape == expected else [f"bias: expected {expected}, found {node['bias'].shape}"]
        stated = _stated(f"node {name}", node, "input_shape") if kind == "Conv2d" else None
        return problems + _difference("input_shape", stated, before[1:])
    if kind == "Flatten":
        end = whole_numbers(f"node {name}", node, "end_dim")
        problems = _difference("input_type", _stated(f"node {name}", node, "input_type"), before)
        if end not in ([-1], [len(before) - 1]):
            problems.append(f"end_dim: expected -1 or {len(before) - 1}, the last of the axes of {before}, found {end}")
        return problems
    if kind in ("LIF", "CubaLIF", "IF", "Threshold"):
        arrays = [(key, value.shape) for key, value in node.items() if isinstance(value, np.ndarray)]
        return [
            f"{key}: expected shape {after}, that of the neurons, found {shape}"
            for key, shape in arrays
            if shape not in ((), after)
        ]
    return []


def _difference(key: str, stated: Shape | None, expected: Shape) -> list[str]:
    return [] if stated in (None, expected) else [f"{key}: expected {expected}, found {stated}"]


def _stated(place: str, node: Tree, key: str) -> Shape | None:
    return tuple(whole_numbers(place, node, key)) if key in node else None
