"""Networks in files: round trips are exact; any other file is read or refused with a typed error."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - to see that it is refused
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

import bl_neuro as bl
from bl_neuro import ModelFileError, Network
from bl_neuro.testing.random_networks import random_conv, random_dense, random_pooled

FORMAT = "bl-neuro/network/1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, small_network: Network) -> bytes:
    file = tmp_path_factory.mktemp("written") / "model.safetensors"
    bl.save(small_network, file)
    return file.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "model.safetensors"


def forge(path: Path, network: Network, structure: Any = None, arrays: Any = None, **header: str) -> Path:
    """Writes `network` as `save` would, but with parts of the file exchanged."""
    facts = {
        "format": FORMAT,
        "network": structure if isinstance(structure, str) else json.dumps(structure or network.structure()),
        "fingerprint": network.fingerprint,
        **header,
    }
    content = {name: np.array(array) for name, array in (arrays or network.arrays()).items()}
    save_file(content, path, metadata=facts)
    return path


def edited(network: Network, layer: int | None, **changes: Any) -> dict[str, Any]:
    """The structure of `network` with entries of a layer, or of the whole, exchanged."""
    structure = json.loads(json.dumps(network.structure()))
    (structure if layer is None else structure["layers"][layer]).update(changes)
    return dict(structure)


def refused(path: Path, message: str = "") -> None:
    with pytest.raises(ModelFileError, match=message) as error:
        bl.load(path)
    assert str(path) in str(error.value)


# There and back


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([random_conv, random_dense, random_pooled]))
def test_round_trip_is_exact(scratch: Path, seed: int, make: Any) -> None:
    network = make(seed)
    bl.save(network, scratch)
    again = bl.load(scratch)
    assert again == network
    assert again.structure() == network.structure()
    for name, array in network.arrays().items():
        assert again.arrays()[name].tobytes() == array.tobytes()
        assert again.arrays()[name].shape == array.shape


@pytest.mark.parametrize("reset", ["zero", "subtract", "subtract_delayed"])
def test_round_trip_keeps_resets_and_readout(path: Path, reset: Any) -> None:
    network = Network((2,), [bl.Dense(np.ones((2, 2)), bl.CubaLIF(reset=reset))], readout="membrane")
    bl.save(network, path)
    assert bl.load(path).layers[0].neuron.reset == reset  # type: ignore[union-attr]
    assert bl.load(str(path)).readout == "membrane"


def test_header_says_what_it_is(path: Path, small_network: Network) -> None:
    bl.save(small_network, path)
    with safe_open(str(path), framework="numpy") as file:
        assert file.metadata()["format"] == FORMAT
        assert file.metadata()["fingerprint"] == small_network.fingerprint


# Where it is written


@pytest.mark.parametrize("name", ["model.pt", "model", "model.safetensors.bak", "model.SAFETENSORS"])
def test_refuses_to_write_other_kinds(tmp_path: Path, small_network: Network, name: str) -> None:
    with pytest.raises(ModelFileError, match=r"expected a name ending in \.safetensors, \.net or \.nir"):
        bl.save(small_network, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_path_is_a_typed_error(tmp_path: Path, small_network: Network) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelFileError, match="could not be written"):
        bl.save(small_network, tmp_path / "file" / "model.safetensors")


# What is not a network


def test_refuses_missing_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "found nothing")
    refused(tmp_path, "found a folder")


@pytest.mark.parametrize("suffix", [".nir", ".net", ".safetensors"])
def test_a_pointer_of_git_lfs_is_called_one(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", encoding="ascii")
    with pytest.raises(ModelFileError, match=r"a Git LFS pointer, .* fetch it with 'git lfs pull'"):
        bl.load(file)


def test_refuses_other_suffixes_and_pickles(tmp_path: Path, small_network: Network) -> None:
    for suffix in ("pt", "pkl", "net", "safetensors"):
        file = tmp_path / f"model.{suffix}"
        file.write_bytes(pickle.dumps(small_network.structure()))
        refused(file)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a file was unpickled",)


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pkl"])
def test_never_unpickles(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"model.{suffix}"
    file.write_bytes(pickle.dumps(Bomb()))
    refused(file)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is cut"),
        (b"\0" * 7, "it is cut"),
        (b"\0" * 64, "damaged header"),
        (b"\xff" * 64, "it is cut"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "it is cut"),
        (b"{}", "it is cut"),
    ],
)
def test_refuses_files_that_are_not_safetensors(path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    refused(path, rf"not a readable safetensors file \({problem}")


def test_refuses_other_safetensors(path: Path, small_network: Network) -> None:
    save_file({"weight": np.zeros(3)}, path)
    refused(path, "expected a network")
    forge(path, small_network, format="bl-neuro/network/2")
    refused(path, "expected a network")


@pytest.mark.parametrize("kind", ["F16", "BF16", "F32", "F8_E4M3", "F8_E5M2", "I64", "U8", "BOOL", "C64"])
def test_refuses_other_types_of_number(path: Path, small_network: Network, kind: str) -> None:
    size = {"F16": 2, "BF16": 2, "F32": 4, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "U8": 1, "BOOL": 1, "C64": 8}[kind]
    facts = {"format": FORMAT, "network": json.dumps(small_network.structure())}
    tensor = {"dtype": kind, "shape": [4, 3], "data_offsets": [0, 12 * size]}
    header = json.dumps({"__metadata__": facts, "layers.0.weight": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * (12 * size))
    refused(path, f"expected float64.*, found {kind}")


# What claims to be one


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["layers.0.weight", "layers.1.threshold", "layers.0.bias"])
def test_refuses_nan_and_infinity(path: Path, small_network: Network, name: str, value: float) -> None:
    arrays = {**small_network.arrays(), name: np.full_like(small_network.arrays()[name], value)}
    forge(path, small_network, arrays=arrays)
    refused(path, f"layer {name[7]}: {name[9:]}: expected finite numbers")


def test_refuses_missing_and_surplus_arrays(path: Path, small_network: Network) -> None:
    arrays = small_network.arrays()
    for name in arrays:
        forge(path, small_network, arrays={key: array for key, array in arrays.items() if key != name})
        refused(path, f"layer {name[7]}: missing or malformed '{name}'")
    forge(path, small_network, arrays={**arrays, "layers.2.weight": np.zeros(1)})
    refused(path, "expected only arrays of layers, found layers.2.weight")


def test_refuses_arrays_of_another_shape(path: Path, small_network: Network) -> None:
    for name, array in small_network.arrays().items():
        forge(path, small_network, arrays={**small_network.arrays(), name: np.ones((*array.shape, 2, 2))})
        refused(path, "invalid network")


def test_refuses_values_that_contradict_the_header(path: Path, small_network: Network) -> None:
    weight = small_network.arrays()["layers.0.weight"] * 1.5
    forge(path, small_network, arrays={**small_network.arrays(), "layers.0.weight": weight})
    refused(path, "damaged: its values do not match its fingerprint")
    forge(path, small_network, fingerprint="")
    refused(path, "damaged")


BAD_STRUCTURES: dict[str, tuple[int | None, dict[str, Any]]] = {
    "no layers": (None, {"layers": []}),
    "layers of no kind": (None, {"layers": "dense"}),
    "a layer that is a word": (None, {"layers": ["dense"]}),
    "a layer that is a list": (None, {"layers": [["kind"]]}),
    "an unknown kind": (0, {"kind": "lstm"}),
    "a kind that is a list": (0, {"kind": ["conv"]}),
    "an unknown reset": (0, {"reset": "soft"}),
    "a reset that is an object": (0, {"reset": {}}),
    "a negative stride": (0, {"stride": [-1, 1]}),
    "a stride of zero": (0, {"stride": [0, 0]}),
    "a stride that is NaN": (0, {"stride": [float("nan"), 1]}),
    "a stride that is infinite": (0, {"stride": [float("inf"), 1]}),
    "a stride that is a word": (0, {"stride": "1"}),
    "a stride that is an object": (0, {"stride": {"0": 1}}),
    "one stride": (0, {"stride": [1]}),
    "negative padding": (0, {"padding": [-1, -1]}),
    "padding of a thousand digits": (0, {"padding": [10**1000, 10**1000]}),
    "padding that makes a huge layer": (0, {"padding": [2**15, 2**15]}),
    "a dilation of zero": (0, {"dilation": [0, 1]}),
    "groups that do not divide": (0, {"groups": 3}),
    "groups that are nothing": (0, {"groups": None}),
    "groups that are infinite": (0, {"groups": float("inf")}),
    "a pool without size": (1, {"size": None}),
    "a pool of size zero": (1, {"size": [0, 2]}),
    "a huge pool": (1, {"size": [10**9, 10**9]}),
    "no input": (None, {"input_shape": []}),
    "a negative input": (None, {"input_shape": [-2, 6, 6]}),
    "an input of words": (None, {"input_shape": ["2", "6", "6"]}),
    "an input that is a word": (None, {"input_shape": "266"}),
    "an input that is infinite": (None, {"input_shape": [2, float("inf"), 6]}),
    "an input of a thousand digits": (None, {"input_shape": [2, 10**4000, 10**4000]}),
    "a huge input": (None, {"input_shape": [2, 2**20, 2**20]}),
    "an unknown readout": (None, {"readout": "votes"}),
    "a readout that is a list": (None, {"readout": ["spikes"]}),
}


def test_refuses_too_many_layers(path: Path, small_network: Network) -> None:
    forge(path, small_network, edited(small_network, None, layers=[{"kind": "flatten"}] * 257))
    refused(path, "layers: expected a list of 1 to 256")


@pytest.mark.parametrize("what", BAD_STRUCTURES)
def test_refuses_structures(path: Path, image_network: Network, what: str) -> None:
    layer, changes = BAD_STRUCTURES[what]
    forge(path, image_network, edited(image_network, layer, **changes))
    refused(path, "invalid network")


TEXTS = {
    "nothing": " ",
    "null": "null",
    "a list": "[]",
    "half an object": '{"layers": ',
    "deep lists": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"layers": ' * 5000,
    "infinity": '{"layers": 1e999}',
}


@pytest.mark.parametrize("what", TEXTS)
def test_refuses_texts(path: Path, image_network: Network, what: str) -> None:
    forge(path, image_network, TEXTS[what])
    refused(path)


def test_refuses_files_beyond_any_network(path: Path, monkeypatch: pytest.MonkeyPatch, small_network: Network) -> None:
    bl.save(small_network, path)
    monkeypatch.setattr("bl_neuro.model_file.MAX_FILE_BYTES", path.stat().st_size - 1)
    refused(path, "at most")


# What was damaged on the way


@given(data=st.data())
def test_a_truncated_file_is_refused(scratch: Path, written: bytes, data: st.DataObject) -> None:
    scratch.write_bytes(written[: data.draw(st.integers(0, len(written) - 1))])
    refused(scratch)


@settings(max_examples=300)
@given(data=st.data())
def test_a_flipped_bit_is_noticed(scratch: Path, written: bytes, small_network: Network, data: st.DataObject) -> None:
    content = bytearray(written)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    scratch.write_bytes(content)
    with suppress(ModelFileError):
        assert bl.load(scratch) == small_network


@settings(max_examples=200)
@given(junk=st.binary(max_size=200), data=st.data())
def test_junk_anywhere_is_read_or_refused(scratch: Path, written: bytes, junk: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(written)))
    end = data.draw(st.integers(start, len(written)))
    scratch.write_bytes(written[:start] + junk + written[end:])
    with suppress(ModelFileError):
        assert isinstance(bl.load(scratch), Network)
