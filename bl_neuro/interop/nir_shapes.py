"""Sizes that a NIR file states besides its weights, compared with those of the network that was read from it.

A file that contradicts itself is refused, as the package `nir` does: the writer had another network in mind.

    Input, Output   shape            Conv    input_shape, its bias         neurons   the shape of every parameter,
    Affine          its bias         Flatten   input_type, start and end               or no axes for a single value

Only the Input and Output of a nested graph may state another shape, with a warning: they compute nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_graph import NEURONS, Port
from bl_neuro.interop.nir_values import Convention, whole_numbers
from bl_neuro.layers import Shape
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
    is_row = len(frame) == 2 and any(node.get("type") == "Conv1d" for _, node in nodes)
    if min(frame, default=0) < 1 or (len(frame) not in (1, 3) and not is_row and not starts_flat(nodes, frame)):
        raise NetworkError(
            [
                f"node {name}: shape {shape}: expected that of one frame without a batch axis, (features,) or "
                "(channels, height, width), (channels, width) before a Conv1d, or any with a Flatten as the next node"
            ]
        )
    return frame, batch


def starts_flat(nodes: Nodes, frame: Shape) -> bool:
    """Whether the first node flattens frames that have neither one axis nor three, so that the network starts flat."""
    return len(frame) not in (1, 3) and len(nodes) > 1 and nodes[1][1].get("type") == "Flatten"


def same_shape(stated: Shape | None, shape: Shape) -> bool:
    """Whether a stated shape is `shape`; (channels, width) is an image with a single row."""
    return stated == shape or (len(shape) == 3 and shape[1] == 1 and stated == (shape[0], shape[2]))


def output_problems(name: str, node: Tree, before: Shape, batch: Shape) -> list[str]:
    """Whether the Output states the shape of the last layer, after any axes of size 1, which some exporters write."""
    stated = _stated(f"node {name}", node, "shape")
    bare = stated
    while bare is not None and len(bare) > len(before) and bare[0] in (1, *batch):
        bare = bare[1:]
    if same_shape(stated, before) or same_shape(bare, before):
        return []
    return [f"node {name} (Output): shape: expected {before}, found {stated}"]


def ignored_shapes(ports: Sequence[Port], shapes: dict[str, Shape]) -> list[str]:
    """Where Inputs and Outputs of nested graphs state another shape than that of the node before; `shapes` by node."""
    texts = []
    for port in ports:
        stated, shape = _stated(f"node {port.name}", port.node, "shape"), shapes.get(port.before)
        if shape is not None and stated is not None and not same_shape(stated, shape):
            texts.append(f"node {port.name} ({port.node['type']}) states the shape {stated}, but it receives {shape}")
    return texts


def stated_problems(name: str, node: Tree, before: Shape, after: Shape) -> list[str]:
    """Differences between the sizes of one node and the shapes before and after it."""
    return [f"node {name} ({node['type']}): {problem}" for problem in _problems(name, node, before, after)]


def _problems(name: str, node: Tree, before: Shape, after: Shape) -> list[str]:
    kind = node["type"]
    if kind in ("Affine", "Conv1d", "Conv2d"):
        expected = node["weight"].shape[:1]
        problems = [] if node["bias"].shape == expected else [f"bias: expected {expected}, found {node['bias'].shape}"]
        if kind == "Affine":
            return problems
        stated = _stated(f"node {name}", node, "input_shape")
        return problems + _difference("input_shape", stated, before[-1:] if kind == "Conv1d" else before[1:])
    if kind == "Flatten":
        return _flatten_problems(name, node, before)
    if kind in NEURONS:
        arrays = [(key, value.shape) for key, value in node.items() if isinstance(value, np.ndarray)]
        return [
            f"{key}: expected shape {after}, that of the neurons, found {shape}"
            for key, shape in arrays
            if shape != () and not same_shape(shape, after)
        ]
    return []


def _flatten_problems(name: str, node: Tree, before: Shape) -> list[str]:
    stated = _stated(f"node {name}", node, "input_type")
    axes = len(before) if stated is None else len(stated)
    batched = stated is not None and len(stated) == len(before) + 1 and stated[0] == 1
    problems = [] if batched and same_shape((stated or ())[1:], before) else _difference("input_type", stated, before)
    end = whole_numbers(f"node {name}", node, "end_dim")
    if end not in ([-1], [axes - 1]):
        problems.append(f"end_dim: expected -1 or {axes - 1}, the last of the axes of {before}, found {end}")
    return problems


def _difference(key: str, stated: Shape | None, expected: Shape) -> list[str]:
    if stated is None or same_shape(stated, expected):
        return []
    return [f"{key}: expected {expected}, found {stated}"]


def _stated(place: str, node: Tree, key: str) -> Shape | None:
    return tuple(whole_numbers(place, node, key)) if key in node else None
