from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import (
    AveragePool,
    Conv,
    CubaLIF,
    Dense,
    Flatten,
    InputError,
    ModelFileError,
    Network,
    SumPool,
    Unsupported,
)
from bl_neuro.errors import SilentLayers
from bl_neuro.interop.nir_file import read_nir, write_nir
from bl_neuro.reference import simulate
from bl_neuro.testing.handmade_nir import Tree, chain, write_graph


def networks() -> list[Network]:
    """Networks that cover every feature of NIR."""
    rng = np.random.default_rng(0)
    neuron = CubaLIF([0.5, 0.7, 0.9], rng.uniform(0.1, 1, 3), rng.uniform(0.1, 1, 3), rng.normal(size=3))
    per_neuron = CubaLIF(0.7, voltage_decay=rng.uniform(0.1, 1, (3, 4, 5)), bias=rng.normal(size=(3, 4, 5)))
    conv = rng.normal(size=(3, 1, 3, 2))
    return [
        Network((4,), [Dense(rng.normal(size=(3, 4)), neuron)], readout="membrane"),
        Network(
            (4,), [Dense(rng.normal(size=(70, 4)), CubaLIF([1.0], [1.0], 1 / 3, 0.1)), Dense(np.eye(70), CubaLIF())]
        ),
        Network((4,), [Dense(rng.normal(size=(3, 4)), CubaLIF(voltage_decay=0.0, bias=[0.1, 0.2, 0.3]))]),
        Network((3, 6, 6), [Conv(conv, per_neuron, padding=(0, 0), groups=3), Flatten()]),
        Network(
            (3, 6, 6),
            [Conv(conv, neuron, (1, 2), (1, 0), (2, 1), 3), SumPool((1, 2)), Conv(conv, neuron, groups=3, padding=3)],
        ),
        Network((3, 6, 6), [AveragePool(2, 1), Flatten(), Dense(rng.normal(size=(3, 75)), CubaLIF(bias=0.1))]),
        Network(
            (4,),
            [
                Dense(
                    rng.normal(size=(3, 4)),
                    CubaLIF(0.5, 0.6, 0.3, [0.1, 0, 0.2]),
                    recurrent=rng.normal(size=(3, 3)),
                    current_bias=rng.normal(size=3),
                )
            ],
        ),
        Network((2,), [Dense(np.eye(2), CubaLIF(1.0, [1.0, 0.5], 0.3), current_bias=[0.3, 0.0])]),
    ]


@pytest.mark.parametrize("index", range(8))
def test_a_round_trip_keeps_the_fingerprint(index: int, tmp_path: Path) -> None:
    network, path = networks()[index], tmp_path / "n.nir"
    write_nir(network, path)
    assert read_nir(path).fingerprint == network.fingerprint


@pytest.mark.parametrize("index", range(8))
def test_the_nir_package_reads_it_and_what_it_writes_is_read(index: int, tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    network, path = networks()[index], tmp_path / "n.nir"
    write_nir(network, path)
    square = not any(isinstance(layer, Conv) for layer in network.layers)  # nir takes kernels to be square
    graph = nir.read(path, type_check=square)
    loops = sum(getattr(layer, "recurrent", None) is not None for layer in network.layers)
    assert len(graph.nodes) == 2 + loops + sum(1 + isinstance(layer, (Dense, Conv)) for layer in network.layers)
    nir.write(path, graph)
    assert read_nir(path) == network


@pytest.mark.parametrize("index", range(8))
def test_the_nir_equations_alone_give_the_same_spikes(index: int, tmp_path: Path) -> None:
    """Without metadata, and with dt = 1, the spikes are the same."""
    network, path = networks()[index], tmp_path / "n.nir"
    write_nir(network, path)
    with h5py.File(path, "a") as file:
        del file["node/metadata"]
        for node in file["node/nodes"].values():
            if "metadata" in node:
                del node["metadata"]
    imported = read_nir(path, convention="nir", dt=1.0, readout=network.readout)
    x = np.random.default_rng(0).random((30, 4, *network.input_shape)) < 0.4
    assert (simulate(imported, x).spikes == simulate(network, x).spikes).all()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network((2,), [Dense(np.eye(2), CubaLIF(reset="subtract"))]), "layer 0: reset 'subtract'"),
        (Network((2,), [Dense(np.eye(2), CubaLIF(), delay=3)]), "layer 0: delay"),
        (
            Network((2,), [Dense(np.eye(2), CubaLIF(), current_bias=[0, 1])]),
            "layer 0: current_bias of currents",
        ),
        (Network((2,), [Dense(np.eye(2), CubaLIF(current_decay=0))]), "layer 0: current_decay 0"),
        (Network((2,), [Dense(np.eye(2), CubaLIF(voltage_decay=[0, 0.5]))]), "layer 0: voltage_decay 0"),
        (Network((2,), [Dense(2 * np.eye(2), CubaLIF(80, 1, 0.5))], arithmetic="loihi"), "Loihi's arithmetic"),
    ],
)
def test_networks_that_nir_cannot_represent_are_refused(network: Network, message: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=message):
        write_nir(network, tmp_path / "n.nir")
    assert not list(tmp_path.iterdir())


def stranger(folder: Path, change: Callable[[Tree], None]) -> Path:
    """A file as others write them, dt 0.1: Linear -> LIF -> Affine -> LIF, `change`d."""
    neuron = {
        "type": "LIF",
        "tau": np.full(2, 0.5),
        "r": np.full(2, 5.0),
        "v_leak": np.zeros(2),
        "v_threshold": np.ones(2),
    }
    nodes: Tree = {
        "input": {"type": "Input", "shape": np.array([3])},
        "fc": {"type": "Linear", "weight": np.ones((2, 3))},
        "lif": {**neuron},
        "fc2": {"type": "Affine", "weight": np.eye(2), "bias": np.full(2, 0.5)},
        "lif2": {**neuron, "v_reset": np.zeros(2)},
        "output": {"type": "Output", "shape": np.array([2])},
    }
    tree = chain(nodes)
    change(tree)
    return write_graph(folder / "n.nir", tree)


def as_integrators(tree: Tree) -> None:
    for name in ("lif", "lif2"):
        tree["nodes"][name] = {"type": "IF", "r": np.ones(2), "v_threshold": np.ones(2)}


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({"convention": "nir", "dt": 1e-4}, "of layers 0, 1 can"),  # thresholds of 1e4
        ({"convention": "nir", "dt": 0.005}, "of layer 1 can"),
    ],
)
def test_a_reading_that_silences_layers_is_reported(tmp_path: Path, options: Any, layers: str) -> None:
    path = stranger(tmp_path, as_integrators)
    with pytest.warns(SilentLayers, match=rf"n\.nir: read with the convention .* and dt=.*{layers}") as warned:
        bl.load(path, **options)
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_other_readings_are_not(tmp_path: Path, dt: float) -> None:
    network = read_nir(stranger(tmp_path, as_integrators), convention="nir", dt=dt)  # warnings are errors in tests
    write_nir(network, tmp_path / "own.nir")
    read_nir(tmp_path / "own.nir")


def test_nirs_equations_in_steps_of_dt(tmp_path: Path) -> None:
    cuba = {"type": "CubaLIF", "tau_mem": np.full(2, 0.5), "tau_syn": np.full(2, 0.2), "r": np.full(2, 2.0)}
    cuba |= {"w_in": np.full(2, 3.0), "v_leak": np.zeros(2), "v_threshold": np.full(2, 1.2)}

    def change(tree: Tree) -> None:
        tree["nodes"]["fc2"] = {"type": "Linear", "weight": np.eye(2)}
        tree["nodes"]["lif2"] = cuba

    network = read_nir(stranger(tmp_path, change), convention="nir", dt=0.1)
    first, second = network.layers
    assert isinstance(first, Dense)
    assert isinstance(second, Dense)
    assert first.neuron.voltage_decay == pytest.approx(0.2)
    assert first.neuron.threshold == pytest.approx(1.0)  # gain dt r / tau = 1
    assert second.neuron.current_decay == pytest.approx(0.5)
    assert second.neuron.threshold == pytest.approx(1.2 / (0.5 * 3 * 0.2 * 2))


def put(node: str, key: str, value: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["nodes"][node].__setitem__(key, value)


def drop(node: str, key: str) -> Callable[[Tree], None]:
    return lambda tree: tree["nodes"][node].pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("lif", "v_reset", np.ones(2)), "node lif: v_threshold: expected values above v_reset"),
        (put("lif", "tau", np.full(2, np.inf)), "node lif: tau: expected finite numbers"),
        (put("lif", "tau", np.full(2, 0.01)), "node lif: tau: expected at least the time step dt = 0.1, found 0.01"),
        (put("lif", "r", np.zeros(2)), "node lif: r: expected values above 0"),
        (put("lif", "tau", "long"), "node lif: tau: expected an array of numbers"),
        (put("lif", "v_threshold", np.ones(5)), "node lif: expected parameters of one shape"),
        (drop("lif", "tau"), "node lif .LIF.: 'tau' is missing"),
        (put("lif", "type", "LI"), "node lif: LI: a leaky integrator does not spike"),
        (put("lif", "type", "Unheard"), "node lif: Unheard: expected one of"),
        (put("fc", "weight", np.ones((1, 2, 3))), "node fc: weight: expected shape"),
        (put("input", "shape", np.array([5])), "node fc: Dense expects an input of shape"),
        (put("input", "shape", np.array([1.5])), "node input: shape: expected a few whole numbers"),
        (lambda tree: tree["edges"].append(["lif2", "lif"]), "branches or loops"),
        (lambda tree: tree["edges"].pop(2), "is not connected"),
        (lambda tree: tree["edges"].append(["lif2", "nobody"]), "edges: expected pairs of names"),
        (lambda tree: tree["nodes"].pop("input"), "edges: expected pairs of names"),
        (lambda tree: tree.pop("edges"), "malformed .KeyError"),
        (lambda tree: tree.__setitem__("nodes", np.zeros(3)), "nodes: expected a group, found a value"),
        (lambda tree: tree.__setitem__("nodes", "none"), "nodes: expected a group, found a value"),
        (lambda tree: tree.__setitem__("type", "Affine"), "expected a NIR graph"),
        (lambda tree: tree.__setitem__("metadata", {"writer": "bl-neuro/nir/1"}), "metadata is missing|malformed"),
    ],
)
def test_unsupported_graphs_are_refused(change: Callable[[Tree], None], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_nir(stranger(tmp_path, change), convention="nir", dt=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "does not determine how its continuous time"),
        ({"convention": "nir"}, "needs dt="),
        ({"convention": "snntorch"}, "v_reset = 0 for every"),
        ({"convention": "snntorch", "reset": "zero"}, "node lif: r: expected 5000 with dt = 0.0001 .* found 5"),
        ({"convention": "nir", "dt": 0.1, "reset": "subtract"}, "reset 'subtract': nir files contain v_reset"),
    ],
)
def test_files_of_other_tools_need_a_convention(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_nir(stranger(tmp_path, lambda tree: None), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (as_integrators, "IF neurons with r = 1 look like a time step of 1: convention='nir', dt=1"),
        (lambda tree: None, "Its time constants are up to 0.5"),
        (
            lambda tree: [tree["nodes"][name].__setitem__("r", np.full(2, 5000.0)) for name in ("lif", "lif2")],
            "look like those of snnTorch's exporter",
        ),
    ],
)
def test_traces_of_the_writer_are_named(change: Callable[[Tree], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_nir(stranger(tmp_path, change))


def test_an_integrator_whose_gain_is_not_that_of_snntorch_is_refused(tmp_path: Path) -> None:
    """It was read with thresholds of 1e4, and never spiked."""
    with pytest.raises(ModelFileError, match=r"node lif: r: expected 10000 .* found 1; another program wrote it"):
        read_nir(stranger(tmp_path, as_integrators), convention="snntorch", reset="zero")


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    for options in ({"convention": "lava"}, {"reset": "never"}, {"dt": -1}, {"dt": True}):
        with pytest.raises(InputError, match=f"{next(iter(options))}: expected"):
            read_nir(tmp_path / "n.nir", **options)


def test_changed_values_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "n.nir"
    for key, message in (
        ("0_synapse/weight", "fingerprint"),
        ("0_neuron/tau_mem", "damaged: .* in the metadata differs"),
    ):
        write_nir(networks()[0], path)
        with h5py.File(path, "a") as file:
            file[f"node/nodes/{key}"][...] *= 2
        with pytest.raises(ModelFileError, match=message):
            read_nir(path)


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.nir"
    write_nir(networks()[5], path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 12)):
            data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data if rng.random() < 0.8 else data[: rng.integers(len(data))])
        try:
            assert read_nir(path) == networks()[5]
        except ModelFileError:
            refused += 1
    assert 30 < refused < 150


def test_a_group_for_the_bias_of_a_convolution_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.nir"
    write_nir(networks()[4], path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/0_synapse/bias"]
        file.create_group("node/nodes/0_synapse/bias")
    with pytest.raises(ModelFileError, match="node 0_synapse: bias: expected an array of numbers, found dict"):
        read_nir(path)


def test_a_time_constant_close_to_zero_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.nir"
    write_nir(Network((2,), [Dense(np.eye(2), CubaLIF(voltage_decay=[0.3, 0.4]))]), path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/0_neuron/tau"]
        file["node/nodes/0_neuron/tau"] = np.array([7e-318, 3.0])
    with pytest.raises(ModelFileError, match="damaged: threshold in the metadata"):
        read_nir(path)


@pytest.mark.parametrize("thresholds", ["one", "per channel"])
def test_a_network_of_the_size_of_an_event_camera_comes_back(tmp_path: Path, thresholds: str) -> None:
    """Parameters that repeat a million times compress so well that they looked like a decompression bomb."""
    rng = np.random.default_rng(0)
    threshold = 1.0 if thresholds == "one" else rng.uniform(0.5, 1, 64)
    layers = [
        Conv(rng.normal(size=(64, 2, 3, 3)), CubaLIF(threshold, 0.5, 0.25), padding=1),
        Conv(rng.normal(size=(8, 64, 3, 3)), CubaLIF(), stride=8),
    ]
    network, path = Network((2, 128, 128), layers), tmp_path / "events.nir"
    write_nir(network, path)
    assert read_nir(path).fingerprint == network.fingerprint
    if thresholds == "one":
        assert path.stat().st_size < 2**20


def test_a_large_file_of_the_nir_package_is_read(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    conv = nir.Conv2d((128, 128), np.ones((64, 2, 3, 3), np.float32), 1, 1, 1, 1, np.zeros(64, np.float32))
    full = np.ones((64, 128, 128), np.float32)
    neuron = nir.LIF(tau=4 * full, r=4 * full, v_leak=0 * full, v_threshold=full, v_reset=0 * full)
    nir.write(tmp_path / "large.nir", nir.NIRGraph.from_list(conv, neuron))
    (layer,) = read_nir(tmp_path / "large.nir", convention="nir", dt=1.0).layers
    assert isinstance(layer, Conv)
    assert layer.neuron.threshold.size <= 64
    assert (layer.neuron.voltage_decay == 0.25).all()


def test_a_file_of_snntorch_is_not_taken_for_one_of_norse(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    tau = np.full(2, 1e-4 / 0.1)
    neuron = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * tau, v_threshold=np.ones(2), v_reset=0 * tau)
    nir.write(tmp_path / "n.nir", nir.NIRGraph.from_list(nir.Linear(np.eye(2)), neuron))
    with pytest.raises(ModelFileError, match="r: expected 1, as Norse's exporter writes"):
        read_nir(tmp_path / "n.nir", convention="norse", dt=1e-4)


@pytest.mark.slow
def test_a_pruned_network_of_the_nir_package_is_read(tmp_path: Path) -> None:
    """It unpacks to fifty times its size on the disk."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    rng = np.random.default_rng(0)
    weight = np.where(rng.random((3000, 3000)) < 0.01, rng.normal(size=(3000, 3000)), 0.0).astype(np.float32)
    ones = np.ones(3000)
    neuron = nir.LIF(tau=ones * 1e-3, r=ones * 10, v_leak=ones * 0, v_threshold=ones, v_reset=ones * 0)
    nir.write(tmp_path / "pruned.nir", nir.NIRGraph.from_list(nir.Linear(weight), neuron))
    assert (tmp_path / "pruned.nir").stat().st_size < 2**20
    (layer,) = read_nir(tmp_path / "pruned.nir", convention="nir", dt=1e-4).layers
    assert isinstance(layer, Dense)
    assert np.count_nonzero(layer.weight) == np.count_nonzero(weight)
