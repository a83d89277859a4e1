"""Mutations of the graphs of `.nir` files: other edges, other kinds of nodes, nodes that become nested graphs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bl_neuro.testing.handmade_nir import Tree, chain, write_graph
from bl_neuro.testing.hdf5_mutations import Generator, Mutation

KINDS = (
    "Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLIF", "Delay", "Flatten", "IF", "Input", "LI", "LIF", "Linear",
    "NIRGraph", "Output", "Scale", "SumPool2d", "Threshold", "",
)  # fmt: skip


def looped_file(path: Path) -> Path:
    """Writes a graph with a nested graph, in which neurons have a loop of three nodes, and with a Scale and a Delay."""
    rng, ones = np.random.default_rng(0), np.ones(5)
    neurons = {"type": "LIF", "tau": 2 * ones, "r": 2 * ones, "v_leak": 0 * ones, "v_threshold": ones}
    inner: Tree = {
        "input": {"type": "Input", "shape": np.array([5])},
        "lif": neurons,
        "delay": {"type": "Delay", "delay": ones},
        "loop": {"type": "Affine", "weight": rng.normal(size=(5, 5)), "bias": rng.normal(size=5)},
        "scale": {"type": "Scale", "scale": ones},
        "output": {"type": "Output", "shape": np.array([5])},
    }
    ring = ["lif", "delay", "loop", "scale", "lif"]
    edges = [["input", "lif"], *(list(pair) for pair in pairwise(ring)), ["lif", "output"]]
    nodes: Tree = {
        "input": {"type": "Input", "shape": np.array([6])},
        "scale": {"type": "Scale", "scale": np.ones(6)},
        "fc": {"type": "Linear", "weight": rng.normal(size=(5, 6))},
        "hidden": {"type": "NIRGraph", "nodes": inner, "edges": edges},
        "if": {"type": "IF", "r": ones, "v_threshold": ones},
        "fc2": {"type": "Affine", "weight": rng.normal(size=(5, 5)), "bias": np.ones(5)},
        "lif": neurons,
        "output": {"type": "Output", "shape": np.array([5])},
    }
    return write_graph(path, chain(nodes))


def _graphs(file: h5py.File) -> list[h5py.Group]:
    groups: list[h5py.Group] = []
    file.visititems(lambda name, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    return [group for group in groups if "edges" in group]


def _rewired(path: Path, rng: Generator) -> None:
    """Removes, adds or redirects edges of one graph, or repeats them many times."""
    with h5py.File(path, "a") as file:
        graphs = _graphs(file)
        if not graphs:
            return
        graph = graphs[rng.integers(len(graphs))]
        edges = [[str(end, "utf-8", "replace") for end in edge] for edge in graph["edges"][()]]
        names = sorted(graph["nodes"]) if isinstance(graph.get("nodes"), h5py.Group) else ["x"]
        kind = rng.integers(4)
        if kind == 0 and edges:
            edges.pop(rng.integers(len(edges)))
        elif kind == 1:
            edges.append([str(rng.choice(names)), str(rng.choice(names))])
        elif kind == 2 and edges:
            edges[rng.integers(len(edges))][rng.integers(2)] = str(rng.choice(names))
        else:
            edges = [[str(rng.choice(names)), str(rng.choice(names))] for _ in range(int(rng.choice([10, 300, 6000])))]
        _put(graph, "edges", np.array(edges, dtype=object).reshape(-1, 2))


def _of_another_kind(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        nodes = [node for graph in _graphs(file) for node in graph.get("nodes", {}).values() if "type" in node]
        if nodes:
            _put(nodes[rng.integers(len(nodes))], "type", KINDS[rng.integers(len(KINDS))])


def _nested(path: Path, rng: Generator) -> None:
    """Puts a node into a nested graph of its own, several times."""
    with h5py.File(path, "a") as file:
        graphs = [graph for graph in _graphs(file) if isinstance(graph.get("nodes"), h5py.Group) and graph["nodes"]]
        if not graphs:
            return
        nodes = graphs[rng.integers(len(graphs))]["nodes"]
        name = str(rng.choice(sorted(nodes)))
        for _ in range(int(rng.choice([1, 2, 5, 30]))):
            nodes.move(name, "held in between")
            outer = nodes.create_group(name)
            outer["type"] = "NIRGraph"
            inner = outer.create_group("nodes")
            for port in ("Input", "Output"):
                inner.create_group(port.lower())["type"] = port
            nodes.move("held in between", f"{name}/nodes/held")
            _put(outer, "edges", np.array([["input", "held"], ["held", "output"]], dtype=object))
            nodes, name = inner, "held"


def _put(group: Any, name: str, value: Any) -> None:
    if name in group:
        del group[name]
    group.create_dataset(name, data=value, dtype=h5py.string_dtype())


def _changed(path: Path, rng: Generator) -> None:
    (_rewired, _of_another_kind, _nested)[rng.integers(3)](path, rng)


CONTENT_NIR: dict[str, Mutation] = {"a graph changed": _changed}
"""Mutations for `.nir` files only."""
