"""Saving and loading networks. Files come from strangers: nothing is unpickled or executed, every size is bounded.

The native format is safetensors: the arrays of the network by name, and its structure as JSON in the header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike, fsencode
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.files import atomic_path, what_is_at
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Input, Layer, SumPool
from bl_neuro.network import MAX_FILE_BYTES, MAX_LAYERS, Network
from bl_neuro.neuron import CubaLIF, Reset

if TYPE_CHECKING:
    from bl_neuro.interop.nir_nodes import Convention

FORMAT = "bl-neuro/network/1"


def save(network: Network, path: str | Path) -> None:
    """Writes `network` atomically, by suffix.

    `.safetensors` keeps it exactly; `.net` quantises it for Lava, or keeps the integers of a network in Loihi's
    arithmetic; `.nir` writes the exchange format NIR.

    Raises:
        ModelFileError: the suffix is not one of these, or the file cannot be written.
        Unsupported: a `.net` or `.nir` file cannot hold this network. InputError: path is no name of a file.
    """
    if not isinstance(network, Network):
        raise ModelFileError(f"expected a bl_neuro Network to save, found {type(network).__name__}")
    target = _as_path(path)
    if target.suffix == ".net":
        from bl_neuro.deploy.net_file import write_net
        from bl_neuro.deploy.quantize import quantize

        write_net(quantize(network), target)
    elif target.suffix == ".nir":
        from bl_neuro.interop.nir_file import write_nir

        write_nir(network, target)
    elif target.suffix == ".safetensors":
        _write_safetensors(network, target)
    else:
        raise ModelFileError(f"{target}: expected a name ending in .safetensors, .net or .nir, found '{target.suffix}'")


def load(
    path: str | Path,
    layers: int | None = None,
    *,
    input_shape: Iterable[int] | None = None,
    convention: Convention | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
) -> Network:
    """Reads a network and checks all of it: `.safetensors`, Lava's `.net` (in Loihi's arithmetic) or `.nir`.

    layers: read only the first so many blocks of a `.net` file, one whose later blocks cannot be held.
    input_shape: of one frame, channels first, for a `.net` file that does not state it (netx asks for it, too).
    convention, dt, reset: what a `.nir` file that others wrote leaves open; see `bl_neuro.interop.nir_file.read_nir`.

    Raises:
        ModelFileError: the file is missing, damaged, too large, of another kind, or holds no valid network.
        InputError: an argument is not what was expected, or is about another kind of file.
    """
    source = _source(path)
    of_net = {"layers": layers, "input_shape": input_shape}
    of_nir = {"convention": convention, "dt": dt, "reset": reset}
    for suffix, given in ((".net", of_net), (".nir", of_nir)):
        named = [name for name, value in given.items() if value is not None]
        if named and source.suffix != suffix:
            raise InputError(f"{', '.join(named)}: only for a {suffix} file, found '{source.suffix}'")
    if source.suffix == ".net":
        from bl_neuro.deploy.net_reader import read_net

        return read_net(source, layers, input_shape)
    if source.suffix == ".nir":
        from bl_neuro.interop.nir_file import read_nir

        return read_nir(source, convention=convention, dt=dt, reset=reset)
    if source.suffix == ".safetensors":
        return _load_safetensors(source)
    raise ModelFileError(f"{source}: expected a name ending in .safetensors, .net or .nir")


def _source(path: Any) -> Path:
    """The file that `path` names, once it is seen to be no pickle."""
    source = _as_path(path)
    found = what_is_at(source)
    if found != "a file":
        raise ModelFileError(f"{source}: expected a model file, found {found}")
    with _readable(source) as file:
        start = file.read(9)
    # a safetensors file begins with a length, whose first byte may be that of a pickle, and a brace
    if start.startswith((b"PK\x03\x04", b"\x80")) and start[8:] != b"{":
        raise ModelFileError(
            f"{source}: a PyTorch or pickle file, which is never opened here; save weights as .safetensors and read "
            "them with bl_neuro.from_state_dict"
        )
    return source


def _as_path(path: Any) -> Path:
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"path: expected the name of a file, found {type(path).__name__}")
    try:
        if b"\0" in fsencode(path):
            raise ValueError("a null byte")
    except ValueError as error:
        raise InputError(f"path: {path!r:.80} can name no file ({error})") from error
    return Path(path)


def _load_safetensors(source: Path) -> Network:
    if source.stat().st_size > MAX_FILE_BYTES:
        raise ModelFileError(f"{source}: {source.stat().st_size} bytes; at most {MAX_FILE_BYTES} are read")
    structure, arrays, fingerprint = _read_safetensors(source)
    try:
        network = _network_from_parts(structure, arrays)
    except NetworkError as error:
        raise ModelFileError(f"{source}: {error}") from error
    if network.fingerprint != fingerprint:
        raise ModelFileError(f"{source}: damaged: its values are not those of the fingerprint it states")
    return network


def _readable(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ModelFileError(f"{path}: could not be read ({error.strerror})") from error


def _write_safetensors(network: Network, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    header = {"format": FORMAT, "network": json.dumps(network.structure()), "fingerprint": network.fingerprint}
    # safetensors stores 0-d and non-contiguous views wrongly or not at all: copies are plain
    arrays = {name: np.array(array, order="C") for name, array in network.arrays().items()}
    try:
        with atomic_path(path) as temporary:
            save_file(arrays, temporary, metadata=header)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: could not be written ({error})") from error


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, FloatArray], str]:
    """Structure, arrays by name, and the fingerprint that the network should have."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                found = header.get("format", "a safetensors file of another kind")
                raise ModelFileError(
                    f"{path}: expected a network ({FORMAT}), found {str(found)[:80]!r}; plain weights are read with "
                    "bl_neuro.from_state_dict, which is told what their layers are"
                )
            for name in file.keys():  # noqa: SIM118 - not a dict
                kind = file.get_slice(name).get_dtype()
                if kind != "F64":
                    raise ModelFileError(f"{path}: {name}: expected float64 (F64), found {kind}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        structure = json.loads(header.get("network", ""))
    except (SafetensorError, ValueError, TypeError, RecursionError, OSError) as error:
        raise ModelFileError(f"{path}: not a readable safetensors network ({error})") from error
    if not isinstance(structure, dict):
        raise ModelFileError(f"{path}: the network's structure is not a JSON object")
    return structure, arrays, header.get("fingerprint", "")


def _network_from_parts(structure: dict[str, Any], arrays: dict[str, FloatArray]) -> Network:
    described = structure.get("layers")
    if not isinstance(described, list) or not 0 < len(described) <= MAX_LAYERS:
        raise NetworkError([f"layers: expected a list of 1 to {MAX_LAYERS}"])
    unused = dict(arrays)
    layers = [_layer_from_parts(index, entry, unused) for index, entry in enumerate(described)]
    if unused:
        raise NetworkError([f"arrays that belong to no layer: {', '.join(sorted(unused)[:5])}"])
    shape = structure.get("input_shape")
    if not isinstance(shape, list):
        raise NetworkError(["input_shape: expected a list"])
    readout, arithmetic = structure.get("readout"), structure.get("arithmetic", "real")
    return Network(shape, layers, readout, arithmetic)  # type: ignore[arg-type]  # the constructor checks them


def _layer_from_parts(index: int, entry: Any, arrays: dict[str, FloatArray]) -> Layer:
    try:
        kind = entry["kind"]
        if kind == "flatten":
            return Flatten()
        if kind in ("sum_pool", "average_pool"):
            pool = SumPool if kind == "sum_pool" else AveragePool
            return pool(entry["size"], entry["stride"])
        if kind not in ("input", "dense", "conv"):
            raise NetworkError([f"unknown kind {str(kind)[:40]!r}"])
        own = {
            name: arrays.pop(f"layers.{index}.{name}")
            for name in ("weight", "threshold", "current_decay", "voltage_decay", "bias")
        }
        weight = own.pop("weight")
        neuron = CubaLIF(**own, reset=entry["reset"])
        if kind == "input":
            return Input(weight, neuron, arrays.pop(f"layers.{index}.input_bias"))
        if kind == "dense":
            extras = {name: arrays.pop(f"layers.{index}.{name}") for name in entry.get("extras", [])}
            return Dense(weight, neuron, **extras)
        return Conv(weight, neuron, entry["stride"], entry["padding"], entry["dilation"], entry["groups"])
    except NetworkError as error:
        raise NetworkError([f"layer {index}: {problem}" for problem in error.problems]) from error
    except (KeyError, TypeError) as error:
        raise NetworkError([f"layer {index}: missing or malformed {error}"]) from error
