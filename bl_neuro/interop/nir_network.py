"""The network of a NIR graph: its row of nodes, with the linear nodes before each layer of neurons as one synapse."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bl_neuro.errors import NetworkError
from bl_neuro.interop.assembly import assemble
from bl_neuro.interop.nir_fold import Fold
from bl_neuro.interop.nir_graph import Row, row
from bl_neuro.interop.nir_linear_nodes import Linear, loop_weight
from bl_neuro.interop.nir_neurons import PARAMETERS
from bl_neuro.interop.nir_nodes import node_part
from bl_neuro.interop.nir_shapes import frame_shape, ignored_shapes, output_problems, starts_flat, stated_problems
from bl_neuro.interop.nir_values import Discrete, need_known_entries
from bl_neuro.interop.parts import Neurons, Part, Synapse
from bl_neuro.layers import Shape
from bl_neuro.network import Network, Readout
from bl_neuro.strangers.tree_frames import Tree

Loops = list[list[Linear]]


@dataclass(frozen=True)
class Reading:
    """A network, and what its file states of nested graphs that does not fit it and was ignored."""

    network: Network
    ignored: list[str]


def network_of(graph: Tree, discretization: Discrete, readout: Readout) -> Reading:
    """The network of a graph.

    Raises:
        NetworkError, Unsupported: no network computes exactly the same; the message names the nodes.
    """
    line = row(graph)
    nodes = line.nodes
    for name, node in (nodes[0], nodes[-1]):
        need_known_entries(f"node {name}", node)
    frame, batch = frame_shape(nodes, discretization.convention)
    links, loops = _links(line, discretization)
    is_flat = starts_flat(nodes, frame)
    first = (math.prod(frame),) if is_flat else (frame[0], 1, frame[1]) if len(frame) == 2 else frame
    parts: list[Part] = []
    problems: list[str] = []
    fold, shapes = Fold(first), {nodes[0][0]: frame}
    for (name, node), link in zip(nodes[1:-1], links):
        before = shapes[nodes[0][0]] if is_flat and len(shapes) == 1 else fold.shape
        if not (is_flat and len(shapes) == 1):  # the first Flatten only changes what is called a frame
            fold, added = _joined(fold, link, loops.get(name, []))
            parts += added
        shapes[name] = fold.shape
        problems += stated_problems(name, node, before, fold.shape)
    parts += fold.parts(None)
    problems += output_problems(*nodes[-1], fold.shape, batch)
    if problems:
        raise NetworkError(problems)
    network = assemble(parts, first, "the graph", (), readout)
    return Reading(network, ignored_shapes(line.ports, shapes))


def _links(line: Row, discretization: Discrete) -> tuple[list[Linear | Neurons], dict[str, Loops]]:
    """The nodes between Input and Output, and those of the loops; NetworkError with the problems of all of them."""
    problems: list[str] = []

    def read(name: str, node: Tree) -> Any:
        try:
            return node_part(name, node, discretization)
        except NetworkError as error:
            problems.extend(error.problems)
            return None

    links = [read(name, node) for name, node in line.nodes[1:-1]]
    loops = {name: [[read(*link) for link in chain] for chain in chains] for name, chains in line.loops.items()}
    if problems:
        raise NetworkError(problems)
    return links, loops


def _joined(fold: Fold, link: Linear | Neurons, loops: Loops) -> tuple[Fold, list[Part]]:
    """The fold after one more node, and the parts that neurons complete."""
    if not isinstance(link, Neurons):
        fold.add(link)
        return fold, []
    parts = fold.parts(link.name)
    synapse = parts[-1]
    if loops and isinstance(synapse, Synapse):
        parts[-1] = _recurrent(synapse, loops, link.name, fold.shape)
    return Fold(fold.shape), [*parts, _on_rows(link, fold.shape)]


def _recurrent(synapse: Synapse, loops: Loops, place: str, shape: Shape) -> Synapse:
    """The synapse, with recurrent weights and the biases of all loops of the neurons behind it."""
    if len(shape) != 1:
        raise NetworkError([f"{place}: its loop: expected neurons in a row, found {shape}"])
    total, bias = np.zeros((0, 0)), np.zeros(shape)
    for chain in loops:
        weight, added = loop_weight(chain, place, shape[0])
        total, bias = (weight if not total.size else total + weight), bias + added
    if bias.any():
        own = 0.0 if synapse.bias is None else np.asarray(synapse.bias)
        return replace(synapse, recurrent=total, bias=own + bias)
    return replace(synapse, recurrent=total)


def _on_rows(neurons: Neurons, shape: Shape) -> Neurons:
    """Neurons (channels, width) as those of an image with a single row."""
    if neurons.as_given or len(shape) != 3 or shape[1] != 1:
        return neurons
    rows: dict[str, Any] = {}
    for name in PARAMETERS:
        array = np.asarray(getattr(neurons, name))
        rows[name] = array[:, None, :] if array.shape == (shape[0], shape[2]) else array
    return replace(neurons, **rows)
