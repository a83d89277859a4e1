"""Files that contradict themselves; the package `nir` refuses all of them, unless a comment says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bl_neuro import Conv, CubaLIF, Dense, Flatten, ModelFileError, Network
from bl_neuro.interop.nir_file import read_nir, write_nir
from bl_neuro.layers import Layer
from bl_neuro.testing.handmade_nir import Tree, chain, write_graph


def lif(*shape: int) -> Tree:
    ones = np.ones(shape)
    return {"type": "LIF", "tau": 2 * ones, "r": 2 * ones, "v_leak": 0 * ones, "v_threshold": ones}


def conv_nodes() -> Tree:
    return {
        "input": {"type": "Input", "shape": np.array([1, 5, 4])},
        "conv": {
            "type": "Conv2d",
            "input_shape": np.array([5, 4]),
            "weight": np.ones((3, 1, 3, 2)),
            "stride": np.array([1, 1]),
            "padding": np.array([0, 0]),
            "dilation": np.array([1, 1]),
            "groups": np.array(1),
            "bias": np.zeros(3),
        },
        "lif": {**lif(3, 3, 3), "v_reset": np.zeros((3, 3, 3))},
        "flatten": {
            "type": "Flatten",
            "input_type": np.array([3, 3, 3]),
            "start_dim": np.array(0),
            "end_dim": np.array(-1),
        },
        "fc": {"type": "Linear", "weight": np.ones((2, 27))},
        "lif2": lif(2),
        "output": {"type": "Output", "shape": np.array([2])},
    }


def written(path: Path, nodes: Tree, **more: Any) -> Path:
    return write_graph(path, chain(nodes, **more))


def read(path: Path) -> Network:
    return read_nir(path, convention="nir", dt=1.0)


def put(node: str, key: str, value: Any) -> Callable[[Tree], None]:
    return lambda nodes: nodes[node].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("fc", "bias", np.ones(2)), r"node fc \(Linear\): expected only the entries weight, found 'bias'"),
        (put("fc", "delay", np.ones(2)), r"node fc \(Linear\): .* found 'delay'"),
        (put("lif", "tau_syn", np.ones((3, 3, 3))), r"node lif \(LIF\): .* found 'tau_syn'"),
        (put("input", "batch", np.array(1)), r"node input \(Input\): .* found 'batch'"),
        (put("output", "shape", np.array([7])), r"node output \(Output\): shape: expected \(2,\), found \(7,\)"),
        (lambda nodes: nodes["output"].pop("shape"), r"node output .*: shape: expected \(2,\), found None"),
        (lambda nodes: nodes["input"].pop("shape"), r"node input \(Input\): 'shape' is missing"),
        (lambda nodes: nodes["lif"].pop("v_leak"), r"node lif \(LIF\): 'v_leak' is missing"),
        (put("conv", "input_shape", np.array([9, 9])), r"node conv .*: input_shape: expected \(5, 4\), found \(9, 9\)"),
        (put("conv", "input_shape", np.array([4, 5])), r"node conv .*: input_shape: expected \(5, 4\), found \(4, 5\)"),
        (put("conv", "bias", np.zeros(1)), r"node conv .*: bias: expected \(3,\), found \(1,\)"),  # nir reads it
        (put("flatten", "input_type", np.array([27])), r"node flatten .*: input_type: expected \(3, 3, 3\)"),
        (put("flatten", "end_dim", np.array(1)), r"node flatten .*: end_dim: expected -1 or 2"),
        (lambda nodes: nodes.update(lif2=lif(1)), r"node lif2 \(LIF\): tau: expected shape \(2,\).*found \(1,\)"),
        (lambda nodes: nodes.update(lif=lif(3)), r"node lif \(LIF\): tau: expected shape \(3, 3, 3\)"),
        (lambda nodes: nodes.update(lif=lif(1, 3, 3)), r"node lif \(LIF\): tau: expected shape \(3, 3, 3\)"),
        (put("lif2", "v_reset", np.zeros(1)), r"node lif2 \(LIF\): v_reset: expected shape \(2,\)"),
    ],
)
def test_contradictions_are_refused(change: Callable[[Tree], Any], message: str, tmp_path: Path) -> None:
    nodes = conv_nodes()
    assert len(read(written(tmp_path / "whole.nir", nodes)).layers) == 3
    change(nodes)
    with pytest.raises(ModelFileError, match=message):
        read(written(tmp_path / "n.nir", nodes))


def test_the_bias_of_an_affine_has_one_value_per_neuron(tmp_path: Path) -> None:
    nodes = {**conv_nodes(), "fc": {"type": "Affine", "weight": np.ones((2, 27)), "bias": np.ones(1)}}
    with pytest.raises(ModelFileError, match=r"node fc \(Affine\): bias: expected \(2,\), found \(1,\)"):
        read(written(tmp_path / "n.nir", nodes))


def test_unknown_entries_of_the_graph_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"the graph \(NIRGraph\): .* found 'delays'"):
        read(written(tmp_path / "n.nir", conv_nodes(), delays=np.ones(2)))


def test_a_parameter_without_axes_is_that_of_all_neurons(tmp_path: Path) -> None:
    """As Norse's exporter writes it."""
    nodes = {**conv_nodes(), "lif": lif()}
    conv = read(written(tmp_path / "n.nir", nodes)).layers[0]
    assert isinstance(conv, Conv)
    assert (conv.neuron.threshold == 1).all()


def test_a_file_of_bl_neuro_may_not_contradict_itself(tmp_path: Path) -> None:
    layers: list[Layer] = [Conv(np.ones((3, 1, 3, 2)), CubaLIF()), Flatten(), Dense(np.ones((2, 27)), CubaLIF())]
    path = tmp_path / "own.nir"
    write_nir(Network((1, 5, 4), layers), path)
    with h5py.File(path, "a") as file:
        file["node/nodes/output/shape"][...] = 7
    with pytest.raises(ModelFileError, match=r"shape: expected \(2,\), found \(7,\)"):
        read_nir(path)


@pytest.mark.parametrize("frame", [(2, 3), (28, 28), (2, 1, 3, 4)])
def test_frames_of_any_shape_may_be_flattened_first(frame: tuple[int, ...], tmp_path: Path) -> None:
    """In NIR an Input has no batch axis."""
    size = int(np.prod(frame))
    flatten = {"type": "Flatten", "input_type": np.array(frame), "start_dim": np.array(0), "end_dim": np.array(-1)}
    nodes: Tree = {
        "input": {"type": "Input", "shape": np.array(frame)},
        "flatten": flatten,
        "fc": {"type": "Linear", "weight": np.arange(2.0 * size).reshape(2, size)},
        "lif": lif(2),
        "output": {"type": "Output", "shape": np.array([2])},
    }
    network = read(written(tmp_path / "n.nir", nodes))
    assert network.input_shape == (size,)
    assert [type(layer) for layer in network.layers] == [Dense]
    flatten["input_type"] = np.array([size])
    with pytest.raises(ModelFileError, match=r"node flatten \(Flatten\): input_type: expected"):
        read(written(tmp_path / "n.nir", nodes))
    del nodes["flatten"]
    with pytest.raises(ModelFileError, match=r"node input: shape .*: expected that of one frame without a batch axis"):
        read(written(tmp_path / "n.nir", nodes))


def test_an_image_that_snntorch_flattens_first(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    ones = np.ones(3)
    flatten = nir.Flatten({"input": np.array([2, 3])}, start_dim=0, end_dim=-1)
    neurons = nir.LIF(tau=1e-4 * ones, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)
    path = tmp_path / "n.nir"
    nir.write(path, nir.NIRGraph.from_list(flatten, nir.Linear(np.ones((3, 6))), neurons))
    assert read_nir(path, convention="snntorch", reset="zero").input_shape == (6,)
