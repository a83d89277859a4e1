"""Graphs of every kind of node against NIR's own equations, evaluated node by node."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import ModelFileError
from bl_neuro.errors import NestedShapeIgnored
from bl_neuro.interop.nir_file import read_nir
from bl_neuro.reference import simulate
from bl_neuro.testing.handmade_nir import Tree, chain, write_graph
from bl_neuro.testing.nir_equations import NirEquations

DT = 0.5
STEPS = 24


def neurons(kind: str, *shape: int, threshold: float = 0.6, **more: float) -> Tree:
    values: dict[str, float] = {"v_threshold": threshold, "r": 2.0}
    values |= {
        "LIF": {"tau": 2.0, "v_leak": 0.0},
        "CubaLIF": {"tau_mem": 2.0, "tau_syn": 1.0, "v_leak": 0.0, "w_in": 1.5},
        "IF": {},
    }[kind]
    return {"type": kind, **{name: np.full(shape, value) for name, value in {**values, **more}.items()}}


def io(kind: str, *shape: int) -> Tree:
    return {"type": kind, "shape": np.array(shape)}


def affine(out: int, inner: int, seed: int = 0, bias: float = 0.3) -> Tree:
    rng = np.random.default_rng(seed)
    return {"type": "Affine", "weight": rng.normal(0.1, 0.8, (out, inner)), "bias": rng.normal(0, bias, out)}


def linear(out: int, inner: int, seed: int = 0) -> Tree:
    return {"type": "Linear", "weight": affine(out, inner, seed)["weight"]}


def conv(out: int, inner: int, size: int = 3, **more: Any) -> Tree:
    axes = 1 if more.get("type") == "Conv1d" else 2
    pairs = {name: np.full(axes, value) for name, value in (("stride", 1), ("padding", 0), ("dilation", 1))}
    weight = np.random.default_rng(size).normal(0.2, 0.6, (out, inner, *[size] * axes))
    node = {"type": "Conv2d", "weight": weight, "groups": np.array(1), "bias": np.linspace(-0.2, 0.2, out)}
    return {**node, **pairs, **more}


def pool(kind: str, size: int, stride: int, padding: int = 0) -> Tree:
    values = {"kernel_size": size, "stride": stride, "padding": padding}
    return {"type": kind, **{name: np.full(2, value) for name, value in values.items()}}


def flatten(*shape: int, start: int = 0) -> Tree:
    return {"type": "Flatten", "input_type": np.array(shape), "start_dim": np.array(start), "end_dim": np.array(-1)}


def scale(values: Any) -> Tree:
    return {"type": "Scale", "scale": np.asarray(values, dtype=float)}


def delay(values: Any) -> Tree:
    return {"type": "Delay", "delay": DT * np.asarray(values, dtype=float)}


def row(*nodes: Tree) -> Tree:
    return chain({str(index): node for index, node in enumerate(nodes)})


def looped(kind: str, *links: Tree, nested: bool = False, stated: int = 5) -> Tree:
    """4 inputs, 5 neurons with a loop of `links`, 3 neurons; the loop in the graph itself or in a nested one."""
    inner: Tree = {f"loop{index}": link for index, link in enumerate(links)} | {"lif": neurons(kind, 5)}
    names = ["lif", *[f"loop{index}" for index in range(len(links))], "lif"]
    loop = [list(pair) for pair in pairwise(names)]
    outer: Tree = {"fc": affine(5, 4), "fc2": affine(3, 5, 1), "out": neurons("CubaLIF", 3)}
    ends: Tree = {"input": io("Input", 4), "output": io("Output", 3)}
    if not nested:
        edges = [["input", "fc"], ["fc", "lif"], *loop, ["lif", "fc2"], ["fc2", "out"], ["out", "output"]]
        return {"type": "NIRGraph", "nodes": {**ends, **outer, **inner}, "edges": edges}
    ports: Tree = {"input": io("Input", stated), "output": io("Output", 5)}
    edges = [["input", "lif"], *loop, ["lif", "output"]]
    sub = {"type": "NIRGraph", "nodes": {**ports, **inner}, "edges": edges}
    return chain({"input": ends["input"], "fc": outer.pop("fc"), "hidden": sub, **outer, "output": ends["output"]})


RING = linear(5, 5, 2)
GRAPHS: dict[str, Callable[[], Tree]] = {
    "loop": lambda: looped("CubaLIF", affine(5, 5, 2)),
    "loop of a LIF, nested": lambda: looped("LIF", affine(5, 5, 2), nested=True),
    "loop of two matrices and a scale": lambda: looped("IF", linear(2, 5), scale([0.5, 2]), affine(5, 2), nested=True),
    "loop without weights": lambda: looped("LIF"),
    "a current with a bias": lambda: row(io("Input", 4), affine(3, 4), neurons("CubaLIF", 3), io("Output", 3)),
    "v_leak and v_reset": lambda: row(
        io("Input", 4),
        linear(3, 4),
        neurons("LIF", 3, v_leak=0.3, v_reset=-0.4),
        linear(3, 3, 1),
        neurons("CubaLIF", 3, v_leak=-0.2, v_reset=0.1),
        linear(2, 3, 2),
        neurons("IF", 2, v_reset=0.2),
        io("Output", 2),
    ),
    "neurons after neurons, Threshold": lambda: row(
        io("Input", 4), neurons("IF", 4), scale([1, 2, 0.5, 1]), neurons("LIF", 4), linear(3, 4),
        {"type": "Threshold", "threshold": np.full(3, 0.4)}, io("Output", 3),
    ),
    "delays of inputs and outputs": lambda: row(
        io("Input", 4), delay([0, 1, 3, 2]), linear(3, 4), delay([2, 0, 1]), neurons("LIF", 3), io("Output", 3)
    ),
    "scales and matrices": lambda: row(
        io("Input", 4), scale([1, 2, -1, 0.5]), affine(6, 4), scale(np.linspace(0.5, 1.5, 6)), affine(3, 6, 1),
        neurons("LIF", 3), io("Output", 3),
    ),
    "convolution, pooling, neurons": lambda: row(
        io("Input", 2, 9, 8), conv(3, 2, padding=np.array([2, 1]), stride=np.array([1, 2])), pool("AvgPool2d", 2, 2),
        scale(np.repeat([0.5, 2, 1], 10).reshape(3, 5, 2)), neurons("LIF", 3, 5, 2), io("Output", 3, 5, 2),
    ),
    "pooling with padding": lambda: row(
        io("Input", 2, 7, 6), pool("SumPool2d", 3, 2, 1), conv(2, 2, 2, dilation=np.array([2, 1])),
        neurons("IF", 2, 2, 2, threshold=2.0), pool("AvgPool2d", 2, 1, 1), neurons("LIF", 2, 3, 3, threshold=0.1),
        io("Output", 2, 3, 3),
    ),
    "pooling and flattening": lambda: row(
        io("Input", 2, 4, 4), scale(np.repeat([1, 2], 16).reshape(2, 4, 4)), pool("SumPool2d", 2, 2),
        flatten(1, 2, 2, 2, start=1), linear(3, 8), neurons("LIF", 3, threshold=2.0), io("Output", 3),
    ),
    "padding 'same', even kernel": lambda: row(
        io("Input", 1, 5, 6), conv(2, 1, 2, padding="same"), neurons("LIF", 2, 5, 6), io("Output", 2, 5, 6)
    ),
    "padding 'same', even kernel with gaps": lambda: row(
        io("Input", 1, 7, 7), conv(2, 1, 4, padding="same", dilation=np.array([3, 1])), neurons("LIF", 2, 7, 7),
        io("Output", 2, 7, 7),
    ),
    "Conv1d": lambda: row(
        io("Input", 2, 9), conv(3, 2, 3, type="Conv1d", padding=np.array([1]), stride=np.array([2])),
        neurons("CubaLIF", 3, 5), conv(2, 3, 2, type="Conv1d", padding="same"), neurons("LIF", 2, 5),
        flatten(2, 5), linear(2, 10), neurons("IF", 2), io("Output", 2),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_spikes_as_its_equations(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    network = read_nir(write_graph(tmp_path / "n.nir", graph), convention="nir", dt=DT)
    stated = graph["nodes"][next(iter(graph["nodes"]))]["shape"]
    inputs = np.random.default_rng(0).random((STEPS, 3, *stated)) < 0.4
    expected = NirEquations(graph, DT).run(inputs.astype(float))
    run = simulate(network, inputs.reshape(STEPS, 3, *network.input_shape))
    assert (run.spikes.reshape(expected.shape) == expected).all()
    assert all(0.02 < layer.mean() < 0.98 for layer in run.layer_spikes)


OUT = io("Output", 2)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: looped("LIF", linear(4, 5)), "node lif: its loop: expected weights"),
        (lambda: looped("LIF", delay(2 * np.ones(5)), RING), "node loop0: expected at most one time step in a loop"),
        (lambda: looped("LIF", delay(0.3 * np.ones(5)), RING), "node loop0: delay: expected whole time steps of dt"),
        (lambda: looped("LIF", RING, neurons("LIF", 5), RING), "branches or loops: node lif leads to fc2, loop0"),
        (lambda: looped("LIF", flatten(5)), "branches or loops: node lif"),
        (
            lambda: row(io("Input", 4), affine(3, 4), delay([1, 1, 1]), neurons("LIF", 3), io("Output", 3)),
            "expected a Delay in front of an Affine",
        ),
        (
            lambda: row(io("Input", 1, 4, 4), conv(2, 1), scale(np.eye(4).reshape(2, 2, 4)), io("Output", 2, 2, 2)),
            "expected shape .*found|one value per channel",
        ),
        (
            lambda: row(
                io("Input", 1, 4, 4), pool("SumPool2d", 2, 2, 1), flatten(1, 3, 3), linear(2, 9), neurons("LIF", 2),
                io("Output", 2),
            ),
            "node 1: padding: expected 0",
        ),
        (
            lambda: row(io("Input", 2, 2, 2), flatten(2, 2, 2, start=1), linear(2, 4), neurons("IF", 2), OUT),
            "node 2: Dense expects an input of shape",
        ),
        (
            lambda: row(io("Input", 3, 5, 2), scale(np.ones((2, 5, 3))), neurons("IF", 3, 5, 2), io("Output", 3, 5, 2)),
            r"expected shape \(3, 5, 2\), found \(2, 5, 3\)",
        ),
        (
            lambda: row(io("Input", 4), scale(np.ones((2, 2))), linear(3, 4), neurons("IF", 3), io("Output", 3)),
            r"expected shape \(4,\), found \(2, 2\)",
        ),
        (lambda: looped("LIF", {**affine(5, 5), "bias": np.ones(1)}), r"node loop0: bias: expected shape \(5,\)"),
        (lambda: looped("LIF", scale(np.ones(3)), RING), r"node loop0: scale: expected shape \(5,\)"),
        (lambda: looped("LIF", delay(np.ones(3)), RING), r"node loop0: delay: expected shape \(5,\)"),
        (
            lambda: row(
                io("Input", 1, 4096, 4096), conv(1, 1, 1), *[pool("SumPool2d", 2, 2) for _ in range(12)],
                neurons("IF", 1, 1, 1), io("Output", 1, 1, 1),
            ),
            "node 13: windows of",
        ),
        (
            lambda: row(io("Input", 4), linear(3, 4), neurons("LIF", 3, v_reset=0.7), io("Output", 3)),
            "v_threshold: expected values above v_reset",
        ),
    ],
)  # fmt: skip
def test_graphs_without_an_exact_network_are_refused(graph: Callable[[], Tree], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_nir(write_graph(tmp_path / "n.nir", graph()), convention="nir", dt=DT)


def test_a_delay_of_one_step_in_a_loop_is_that_of_every_loop(tmp_path: Path) -> None:
    graphs = looped("LIF", RING), looped("LIF", delay(np.ones(5)), RING)
    first, second = (read_nir(write_graph(tmp_path / "n.nir", graph), convention="nir", dt=DT) for graph in graphs)
    assert first == second


def test_the_shape_that_a_nested_graph_states_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "n.nir", looped("LIF", RING, nested=True, stated=4))
    with pytest.warns(NestedShapeIgnored, match=r"node hidden.input \(Input\) states the shape \(4,\)"):
        read_nir(path, convention="nir", dt=DT)


@pytest.mark.parametrize("depth", [1, 3, 40])
def test_graphs_nested_in_graphs(depth: int, tmp_path: Path) -> None:
    graph = {"type": "NIRGraph", "nodes": {"i": io("Input", 5), "o": io("Output", 5)}, "edges": [["i", "o"]]}
    for _ in range(depth):
        nodes: Tree = {"i": io("Input", 5), "g": graph, "o": io("Output", 5)}
        graph = chain(nodes)
    whole = chain({"i": io("Input", 4), "w": linear(5, 4), "g": graph, "n": neurons("LIF", 5), "o": io("Output", 5)})
    path = write_graph(tmp_path / "n.nir", whole)
    if depth > 2:
        with pytest.raises(ModelFileError, match=r"levels|deep|nested"):
            read_nir(path, convention="nir", dt=DT)
    else:
        assert len(read_nir(path, convention="nir", dt=DT).layers) == 1
