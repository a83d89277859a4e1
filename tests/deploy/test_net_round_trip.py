"""A round trip through `.net` files keeps every value, and Lava-DL's own reader agrees."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.net_reader import read_net
from bl_neuro.deploy.quantize import fixed_network
from bl_neuro.errors import ModelFileError, Unsupported
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.handmade_net import Block, conv, dense, image, write
from bl_neuro.testing.random_networks import random_conv, random_dense

RNG = np.random.default_rng(0)
NEVER = CubaLIF(2**17, 0.0, 1.0, 5)


def whole(*shape: int) -> Any:
    return RNG.integers(-100, 101, shape)


def neurons(shape: tuple[int, ...] = (), bias: bool = True, threshold: Any = 100) -> CubaLIF:
    current_decay, voltage_decay = (RNG.integers(0, 4097, shape) / 4096 for _ in range(2))
    return CubaLIF(threshold, current_decay, voltage_decay, bias=RNG.integers(1, 99, shape) if bias else 0.0)


def loihi(shape: tuple[int, ...], *layers: Any, readout: Any = "spikes") -> Network:
    return Network(shape, layers, readout, "loihi")


def delayed(out: int, inner: int, shape: tuple[int, ...]) -> Network:
    return loihi((inner,), bl.Dense(whole(out, inner), neurons(), delay=RNG.integers(1, 63, shape)))


def around(neuron: CubaLIF, channels: int = 6) -> Network:
    """A network of an image (2, 4, 5) whose convolution, of output (channels, 3, 4), has these neurons."""
    features = channels * 12
    last = bl.Dense(whole(3, features), neurons((3,)), delay=RNG.integers(1, 63, (1, features)))
    return loihi((2, 4, 5), bl.Conv(whole(channels, 2, 2, 2), neuron), bl.Flatten(), last)


NETWORKS: dict[str, Network] = {
    **{f"dense {shape}": loihi((4,), bl.Dense(whole(6, 4), neurons(shape))) for shape in ((), (1,), (6,))},
    **{f"delays {shape}": delayed(6, 4, shape) for shape in ((), (1, 1), (6, 1), (1, 4), (6, 4))},
    **{f"square delays {shape}": delayed(5, 5, shape) for shape in ((5, 1), (1, 5), (5, 5))},
    "recurrent": loihi((4,), bl.Dense(whole(6, 4), neurons((6,)), recurrent=whole(6, 6))),
    "never fires": loihi((4,), bl.Dense(whole(6, 4), NEVER), readout="membrane"),
    "named by spikes it has not": loihi((4,), bl.Dense(whole(6, 4), NEVER)),
    "named by its membrane": loihi((4,), bl.Dense(whole(6, 4), neurons()), readout="membrane"),
    **{f"image {shape}": around(neurons(shape)) for shape in ((), (1,), (6,), (6, 1, 1), (6, 3, 4))},
    **{f"one channel {shape}": around(neurons(shape), 1) for shape in ((), (1,), (1, 1, 1), (1, 3, 4))},
    "thresholds of an image": around(neurons(threshold=np.full((6, 3, 4), 7))),
    "silent image": around(CubaLIF(2**17, 0.0, 1.0, 3)),
    "flattened first": loihi((1, 3, 3), bl.Flatten(), bl.Dense(whole(3, 9), neurons())),
    "ends in an image": loihi((2, 4, 5), bl.Conv(whole(1, 2, 2, 2), neurons())),
    "ends flattened": loihi((2, 4, 5), bl.Conv(whole(1, 2, 2, 2), neurons()), bl.Flatten()),
    **{
        f"input neurons {shape}": loihi(
            (1, 3, 2),
            bl.Input(np.full(shape, -40), neurons((1, 3, 2), bias=False), np.full(shape, 9)),
            bl.Flatten(),
            bl.Dense(whole(3, 6), neurons()),
        )
        for shape in ((), (1,))
    },
    "weights that netx clips": loihi((2,), bl.Dense([[300, -300], [1, 2]], neurons())),
}


@pytest.mark.parametrize("what", NETWORKS)
def test_the_same_network_comes_back(tmp_path: Path, what: str) -> None:
    bl.save(NETWORKS[what], tmp_path / "n.net")
    loaded = bl.load(tmp_path / "n.net")
    assert loaded.structure() == NETWORKS[what].structure()
    assert loaded.fingerprint == NETWORKS[what].fingerprint


@pytest.mark.parametrize("make", [random_dense, random_conv])
def test_a_float_network_comes_back_quantised(tmp_path: Path, make: Any) -> None:
    bl.save(make(2), tmp_path / "n.net")
    assert bl.load(tmp_path / "n.net") == fixed_network(make(2))


def test_flattening_a_vector_is_left_out(tmp_path: Path) -> None:
    layers = [bl.Dense(whole(3, 2), neurons()), bl.Flatten(), bl.Dense(whole(2, 3), neurons())]
    bl.save(loihi((2,), *layers), tmp_path / "n.net")
    assert bl.load(tmp_path / "n.net") == loihi((2,), layers[0], layers[2])


def test_without_its_note_the_values_are_the_same(tmp_path: Path) -> None:
    network = NETWORKS["image (6, 1, 1)"]
    bl.save(network, tmp_path / "n.net")
    with h5py.File(tmp_path / "n.net", "a") as file:
        del file["bl_neuro"]
    loaded = bl.load(tmp_path / "n.net")
    for name, values in network.arrays().items():
        there = loaded.arrays()[name]
        assert there.shape == (6,) if values.shape == (6, 1, 1) else np.array_equal(there, values)
        assert there.ravel().tolist() == values.ravel().tolist()


NOTES: dict[str, bytes] = {
    "no JSON": b"no json",
    "a list": b"[1]",
    "no shapes": b'{"readout": "spikes"}',
    "another readout": b'{"readout": "aloud", "shapes": {}}',
    "other values": b'{"readout": "spikes", "shapes": {"layers.0.bias": [1]}}',
    "a huge shape": b'{"readout": "spikes", "shapes": {"layers.0.bias": [99999999999]}}',
    "a shape of words": b'{"readout": "spikes", "shapes": {"layers.0.bias": ["x"]}}',
    "a shape that is none": b'{"readout": "spikes", "shapes": {"layers.0.bias": 3}}',
    "a list of shapes": b'{"readout": "spikes", "shapes": []}',
    "shapes that are null": b'{"readout": "spikes", "shapes": null}',
    "shapes in a word": b'{"readout": "spikes", "shapes": "x"}',
    "a readout that is none": b'{"readout": [], "shapes": {}}',
    "deep": b"[" * 100_000,
    "long": b" " * (2**20 + 1),
}


@pytest.mark.parametrize("what", NOTES)
def test_a_note_to_something_else_is_refused(tmp_path: Path, what: str) -> None:
    path = write(tmp_path / "n.net", dense(bias=[1, 2]))
    with h5py.File(path, "a") as file:
        file["bl_neuro"] = np.frombuffer(NOTES[what], np.uint8)
    with pytest.raises(ModelFileError, match="file: bl_neuro: the note does not match this network"):
        read_net(path)


UNWRITABLE: dict[str, tuple[Network, str]] = {
    "all zero": (loihi((2,), bl.Dense(np.zeros((2, 2)), neurons())), "layer 0: weight: every value is zero"),
    "lost": (loihi((2,), bl.Dense(np.full((2, 2), 256), neurons())), "turns values of 256..256 into zeros"),
    "delayed loops": (
        loihi((2,), bl.Dense(whole(2, 2), neurons(), delay=3, recurrent=whole(2, 2))),
        "layer 0: delay: netx, Lava's reader of .net files, ignores the weight exponent",
    ),
    "long strides": (
        loihi((1, 200, 2), bl.Conv(whole(1, 1, 1, 1), neurons(), stride=(128, 1))),
        "layer 0: stride: expected at most 127 in Lava, found 128",
    ),
    "driven each by itself": (
        loihi((2,), bl.Input([1, 2], neurons(bias=False), [3, 4]), bl.Dense(whole(2, 2), neurons())),
        "layer 0: weight: expected one value for all input neurons in netx, found 2; layer 0: bias",
    ),
    "biased input": (
        loihi((2,), bl.Input(1, neurons()), bl.Dense(whole(2, 2), neurons())),
        "does not support one for input neurons",
    ),
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_networks_that_netx_cannot_read_are_not_written(tmp_path: Path, what: str) -> None:
    network, message = UNWRITABLE[what]
    with pytest.raises(Unsupported, match=message):
        bl.save(network, tmp_path / "n.net")
    assert not list(tmp_path.iterdir())


NETX = """
import json, sys
import numpy as np
from lava.lib.dl import netx

def described(block):
    neuron, synapse = block.neuron, getattr(block, "synapse", None)
    found = {name: np.broadcast_to(getattr(neuron, name).init, neuron.s_out.shape).tolist() for name in ("du", "dv")}
    found["bias"] = np.broadcast_to(neuron.bias_mant.init, neuron.s_out.shape).tolist()
    found["threshold"] = int(np.asarray(neuron.vth.init).item())
    if synapse is None:
        return found | block.transform
    rows = {"weight": synapse, "recurrent": getattr(block, "synapse_rec", None)}
    for name, each in rows.items():
        if each is not None:
            weight = each.weight if hasattr(each, "weight") else each.weights
            shift = int(each.proc_params["weight_exp"])
            found[name] = (np.asarray(weight.init) * 2.0**shift).tolist()
    if getattr(synapse, "delays", None) is not None:
        found["delay"] = np.asarray(synapse.delays.init).tolist()
    return found

def attempt(path):
    try:
        return [described(block) for block in netx.hdf5.Network(net_config=path).layers]
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = [attempt(path) for path in sys.argv[1:]]
print()
print(json.dumps(found, default=int))
"""


def by_netx(paths: list[Path]) -> list[Any]:
    """The values that Lava-DL's own reader reads, or its error, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", NETX, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    answers: list[Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return answers


def expected(layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The values that netx should read of a layer, in its own order: width, height, channels."""

    def ordered(values: Any) -> Any:
        return (np.asarray(values).transpose() if len(shape) == 3 else np.asarray(values)).tolist()

    neuron = layer.neuron
    values = {"threshold": int(neuron.threshold.flat[0]), "bias": ordered(neuron.expanded("bias", shape))}
    values["du"] = ordered(4096 * neuron.expanded("current_decay", shape) - 1)
    values["dv"] = ordered(4096 * neuron.expanded("voltage_decay", shape))
    if isinstance(layer, bl.Input):
        return values | {"weight": layer.weight.item(), "bias": layer.bias.item()}
    if isinstance(layer, bl.Conv):
        return values | {"weight": layer.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1).tolist()}
    extras = {"recurrent": layer.recurrent} | {
        "delay": None if layer.delay is None else np.broadcast_to(layer.delay, layer.weight.shape)
    }
    return values | {"weight": layer.weight.tolist()} | {key: v.tolist() for key, v in extras.items() if v is not None}


FAILS: dict[str, list[Block]] = {
    "all zero": [dense(weight=np.zeros((2, 3)))],
    "a scalar bias of an image": [image(), conv(bias=3)],
    "a vector flattened": [dense(), {"type": "flatten"}, dense(weight=np.ones((2, 2)))],
    "an image unflattened": [image(), conv(), dense(weight=np.ones((2, 24)))],
    "an image nobody states": [conv()],
    "a convolution without neurons": [image(), {key: value for key, value in conv().items() if "/" not in key}],
    "an average": [dense(), {"type": "average", "shape": [1]}],
    "another output": [image(), conv(shape=[2, 4, 3])],
}


@pytest.mark.lava
@pytest.mark.slow
def test_lava_dl_reads_every_value_and_fails_where_documented(tmp_path: Path, needs: Callable[[str], None]) -> None:
    needs("slayer")  # netx is read in this Python
    networks = {what: network for what, network in NETWORKS.items() if "clips" not in what}
    paths = {what: tmp_path / f"{index}.net" for index, what in enumerate((*networks, *FAILS))}
    for what, network in networks.items():
        bl.save(network, paths[what])
    for what, blocks in FAILS.items():
        write(paths[what], *blocks)
    answers = dict(zip(paths, by_netx(list(paths.values()))))
    for what, network in networks.items():
        rows = [(layer, shape) for layer, shape in zip(network.layers, network.shapes) if hasattr(layer, "neuron")]
        assert answers[what] == [expected(layer, shape) for layer, shape in rows], what
    for what in FAILS:
        assert isinstance(answers[what], str), f"{what}: netx reads it"
        with pytest.raises(ModelFileError):
            read_net(paths[what])


def shipped(name: str) -> Path:
    """A file of the tests inside the lava-dl wheel."""
    try:
        listed = files("lava-dl") or []
    except PackageNotFoundError:
        listed = []
    for file in listed:
        if str(file).endswith(f"netx/{name}") and Path(str(file.locate())).is_file():
            return Path(str(file.locate()))
    pytest.skip(f"{name}: not installed; it comes with lava-dl")


PILOT = "gts/pilotnet_lif/network.net"


@pytest.mark.parametrize(
    ("name", "layers", "readout"), [("tiny.net", 3, "spikes"), ("mnist.net", 4, "membrane"), (PILOT, 11, "membrane")]
)
def test_networks_of_the_wheel_are_read_whole(tmp_path: Path, name: str, layers: int, readout: str) -> None:
    network = bl.load(shipped(name))
    assert (len(network.layers), network.readout, network.input_kind) == (layers, readout, "current")
    with h5py.File(shipped(name)) as file:
        for layer, block in zip(network.layers, (file[f"layer/{index}"] for index in range(len(file["layer"])))):
            if "weight" in block:
                assert isinstance(layer, (bl.Input, bl.Dense, bl.Conv))
                assert np.array_equal(layer.weight.ravel(), block["weight"][()].astype(int).ravel())
    bl.save(network, tmp_path / "again.net")
    assert bl.load(tmp_path / "again.net") == network


def test_a_network_of_the_wheel_is_read_up_to_its_average() -> None:
    path = shipped("gts/ntidigits/ntidigits.net")
    with pytest.raises(
        ModelFileError, match=r"block 5 \(average\): block 'average': netx does not implement it"
    ) as caught:
        bl.load(path)
    assert len(caught.value.problems) == 1
    network = bl.load(path, layers=5)
    assert network.input_shape == (1, 1, 64)
    assert [getattr(layer, "max_delay", None) for layer in network.layers] == [None, 62, 62, 0]


@pytest.mark.parametrize("name", ["network.net", "square_network.net"])
def test_sigma_delta_networks_of_the_wheel_are_kept(tmp_path: Path, name: str) -> None:
    network = bl.load(shipped(f"gts/pilotnet_sdnn/{name}"))
    assert (network.readout, network.input_kind, network.is_sigma_delta) == ("values", "current", True)
    bl.save(network, tmp_path / "again.net")
    assert bl.load(tmp_path / "again.net") == network
