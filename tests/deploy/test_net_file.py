"""`.net` files: their content, that Lava-DL reads them, and that writing is atomic."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.deploy import net_file
from bl_neuro.deploy.net_file import write_net
from bl_neuro.deploy.quantize import FixedPointNetwork, quantize
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.random_networks import random_dense


def written(network: Network, path: Path) -> h5py.File:
    write_net(quantize(network), path)
    return h5py.File(path)


def conv_net() -> Network:
    rng = np.random.default_rng(0)
    per_neuron: dict[str, Any] = {
        "current_decay": rng.random((4, 2, 3)),
        "voltage_decay": rng.random(4),
        "bias": rng.random((4, 2, 3)),
    }
    conv = bl.Conv(rng.normal(size=(4, 1, 3, 2)), CubaLIF(**per_neuron), (2, 1), (1, 0), (1, 2), 2)
    return Network((2, 4, 5), [conv, bl.Flatten(), bl.Dense(rng.normal(size=(3, 24)), CubaLIF())])


def test_a_dense_network(tmp_path: Path) -> None:
    network = random_dense(1, (5, 4, 3))
    fixed = quantize(network)
    with written(network, tmp_path / "n.net") as file:
        assert sorted(file["layer"]) == ["0", "1"]
        for index, layer in enumerate(fixed.layers):
            group = file[f"layer/{index}"]
            assert group["type"][0] == b"dense"
            assert group["neuron/type"][0] == b"CUBA"
            assert group["shape"][()].tolist() == [len(layer.weight)]
            assert group["inFeatures"][()] == layer.weight.shape[1]
            assert group["outFeatures"][()] == layer.weight.shape[0]
            for name, values in {
                "weight": layer.weight,
                "bias": layer.bias,
                "neuron/iDecay": layer.current_decay,
                "neuron/vDecay": layer.voltage_decay,
                "neuron/vThMant": np.array(layer.threshold),
            }.items():
                assert values is not None
                assert group[name].dtype == np.int32, f"{name}: a float hangs Lava"
                assert group[name][()].tolist() == values.tolist()


def test_parameters_that_are_the_same_everywhere_are_scalars(tmp_path: Path) -> None:
    network = Network((2,), [bl.Dense([[1.0, 2.0]] * 3, CubaLIF(current_decay=[0.25], voltage_decay=0.5))])
    with written(network, tmp_path / "n.net") as file:
        group = file["layer/0"]
        assert (group["neuron/iDecay"][()], group["neuron/vDecay"][()]) == (1024, 2048)
        assert group["neuron/iDecay"].shape == ()
        assert "bias" not in group


def test_an_image_network_starts_with_its_input_and_lists_channels_last(tmp_path: Path) -> None:
    network = conv_net()
    first = quantize(network).layers[0]
    assert first.bias is not None
    with written(network, tmp_path / "n.net") as file:
        assert [file[f"layer/{index}/type"][0] for index in range(4)] == [b"input", b"conv", b"flatten", b"dense"]
        assert file["layer/0/shape"][()].tolist() == [2, 4, 5]
        group = file["layer/1"]
        for name, values in {
            "shape": [4, 2, 3],
            "kernelSize": [3, 2],
            "stride": [2, 1],
            "padding": [1, 0],
            "dilation": [1, 2],
            "groups": 2,
            "inChannels": 2,
            "outChannels": 4,
        }.items():
            assert np.array(group[name]).tolist() == values
        assert group["bias"][()].tolist() == first.bias.transpose(2, 1, 0).tolist()
        assert group["neuron/iDecay"][()].tolist() == first.current_decay.transpose(2, 1, 0).tolist()
        assert group["neuron/vDecay"][()].tolist() == first.voltage_decay.tolist()


def test_an_error_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n.net"
    bl.save(random_dense(3, (3, 2)), path)
    before = path.read_bytes()
    calls = []

    def failing(group: Any, block: Any) -> None:
        calls.append(block)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(net_file, "_write_group", failing)
    with pytest.raises(bl.ModelFileError, match=r"n\.net: could not be written .*No space left"):
        bl.save(random_dense(4, (3, 2, 2)), path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["n.net"]


def test_a_network_that_cannot_be_quantised_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "n.net"
    path.write_bytes(b"old")
    with pytest.raises(bl.Unsupported):
        bl.save(Network((2,), [bl.Dense([[0.0, 0.0]], CubaLIF())]), path)
    assert path.read_bytes() == b"old"


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(bl.ModelFileError, match=r"n\.net: could not be written"):
        bl.save(random_dense(3), tmp_path / "folder" / "n.net")


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)  # the superuser may write everywhere
    with pytest.raises(bl.ModelFileError, match=r"n\.net: could not be written .*Permission denied"):
        bl.save(random_dense(3), tmp_path / "n.net")


def test_the_same_network_makes_the_same_content(tmp_path: Path) -> None:
    for name in ("a.net", "b.net"):
        bl.save(random_dense(5), tmp_path / name)

    def content(path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: values.update({name: item[()]} if hasattr(item, "shape") else {}))
        return {name: np.asarray(value).tolist() for name, value in values.items()}

    assert content(tmp_path / "a.net") == content(tmp_path / "b.net")


READER = """
import json, sys
import numpy as np
from lava.lib.dl import netx

def described(block):
    neuron, synapse = block.neuron, block.synapse
    shape = neuron.s_out.shape
    weight = synapse.weight if hasattr(synapse, "weight") else synapse.weights
    per_neuron = {name: np.broadcast_to(getattr(neuron, name).init, shape) for name in ("du", "dv", "bias_mant")}
    return {
        "shape": list(shape),
        "weight": np.asarray(weight.init).tolist(),
        "exponent": int(synapse.proc_params["weight_exp"]),
        "threshold": int(neuron.vth.init),
        **{name: values.tolist() for name, values in per_neuron.items()},
    }

networks = [netx.hdf5.Network(net_config=path) for path in sys.argv[1:]]
print()
print(json.dumps([[described(block) for block in network.layers] for network in networks], default=int))
"""


def read_by_netx(*paths: Path) -> list[list[dict[str, Any]]]:
    """The blocks that Lava-DL's own reader reads, in a process of its own: importing it has side effects."""
    command = [sys.executable, "-W", "ignore", "-c", READER, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    networks: list[list[dict[str, Any]]] = json.loads(ran.stdout.strip().splitlines()[-1])
    return networks


def check_read(blocks: list[dict[str, Any]], fixed: FixedPointNetwork) -> None:
    assert len(blocks) == len(fixed.layers)
    for block, layer in zip(blocks, fixed.layers):
        image = len(layer.shape) == 3

        def lavas(values: Any, layer: Any = layer, image: bool = image) -> Any:
            """One value a neuron, in Lava's order: width, height, channels."""
            per_channel = np.asarray(values).reshape(-1, 1, 1) if image and np.ndim(values) == 1 else values
            full = np.broadcast_to(per_channel, layer.shape)
            return (full.transpose(2, 1, 0) if image else full).tolist()

        assert block["shape"] == list(layer.shape[::-1] if image else layer.shape)
        assert block["du"] == lavas(layer.current_decay - 1), "netx takes one away, which Lava's LIF adds back"
        assert block["dv"] == lavas(layer.voltage_decay)
        assert block["threshold"] == layer.threshold
        assert block["bias_mant"] == lavas(0 if layer.bias is None else layer.bias)
        weight = np.array(block["weight"])
        if image:
            flipped = weight.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]  # Lava convolves, (out, width, height, in)
            assert flipped.tolist() == layer.weight.tolist()
        else:
            assert (weight >> -block["exponent"]).tolist() == layer.weight.tolist()


@pytest.mark.lava
@pytest.mark.slow
def test_lava_dl_reads_what_was_written(tmp_path: Path) -> None:
    reason = missing_reason(find_backend("slayer"))  # netx is read in this Python
    if reason:
        pytest.skip(f"substrate 'slayer': {reason}")
    fixed = {name: quantize(network) for name, network in (("dense", random_dense(6)), ("conv", conv_net()))}
    paths = [tmp_path / f"{name}.net" for name in fixed]
    for path, network in zip(paths, fixed.values()):
        write_net(network, path)
    for blocks, network in zip(read_by_netx(*paths), fixed.values()):
        check_read(blocks, network)
