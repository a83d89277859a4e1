"""Saving and loading networks. Files are untrusted: nothing is unpickled or executed, and every size is bounded.

The native format is safetensors, with the arrays of the network by name and its structure as JSON in the header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike, fsencode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.files import atomic_path, what_is_at
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Input, Layer, SumPool
from bl_neuro.network import MAX_FILE_BYTES, MAX_LAYERS, Network
from bl_neuro.neuron import CubaLIF, Reset
from bl_neuro.sigma_delta import sigma_delta_neuron
from bl_neuro.strangers.safetensors_header import tensor_types

if TYPE_CHECKING:
    from bl_neuro.interop.nir_values import Convention

FORMAT = "bl-neuro/network/1"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
SUFFIXES = (".net", ".nir", ".safetensors")
"""The suffixes of model files."""


def save(network: Network, path: str | Path) -> None:
    """Writes `network` atomically, in the format given by the suffix.

    `.safetensors` stores it exactly; `.net` quantizes it for Lava, or stores the integers of a network in Loihi's
    arithmetic; pooling becomes part of the synapses behind it (`bl_neuro.deploy.folded_pooling`), and biases of
    currents become neurons (`bl_neuro.deploy.bias_neurons`). `.nir` is the exchange format NIR.

    Raises:
        ModelFileError: the suffix is not one of these, or the file cannot be written.
        Unsupported: a `.net` or `.nir` file cannot hold this network.
        InputError: path is not a valid file name.
    """
    if not isinstance(network, Network):
        raise ModelFileError(f"expected a bl_neuro Network to save, found {type(network).__name__}")
    target = _as_path(path)
    if target.suffix == ".net":
        from bl_neuro.deploy.net_file import write_net
        from bl_neuro.deploy.net_form import quantized_net_form

        write_net(quantized_net_form(network), target)
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
    """Reads and validates a network: `.safetensors`, Lava's `.net` (in Loihi's arithmetic) or `.nir`.

    layers: number of blocks to read from a `.net` file whose later blocks are not supported.
    input_shape: shape of one frame, channels first, for a `.net` file that does not declare it.
    convention, dt, reset: values that `.nir` files of other programs do not contain; see
    `bl_neuro.interop.nir_file.read_nir`.

    Raises:
        ModelFileError: the file is missing, damaged, too large, of another kind, or contains no valid network.
        InputError: an argument is invalid, or applies to another kind of file.
    """
    source = _source(path)
    of_net = {"layers": layers, "input_shape": input_shape}
    of_nir = {"convention": convention, "dt": dt, "reset": reset}
    for suffix, options in ((".net", of_net), (".nir", of_nir)):
        given_names = [name for name, value in options.items() if value is not None]
        if given_names and source.suffix != suffix:
            raise InputError(f"{', '.join(given_names)}: only for a {suffix} file, found '{source.suffix}'")
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
    """The file that `path` names, after a check that it is not a pickle or the pointer of a file that is not there."""
    source = _as_path(path)
    content = what_is_at(source)
    if content != "a file":
        raise ModelFileError(f"{source}: expected a model file, found {content}")
    try:
        with source.open("rb") as file:
            start = file.read(len(LFS_POINTER))
    except OSError as error:
        raise ModelFileError(f"{source}: could not be read ({error.strerror})") from error
    if start == LFS_POINTER:
        raise ModelFileError(
            f"{source}: a Git LFS pointer, which names the model and does not contain it; fetch it with 'git lfs pull'"
        )
    # a safetensors file starts with a length, whose first byte may equal that of a pickle, followed by a brace
    if start.startswith((b"PK\x03\x04", b"\x80")) and start[8:9] != b"{":
        raise ModelFileError(
            f"{source}: a PyTorch or pickle file, which bl_neuro never opens; save weights as .safetensors and read "
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
        raise InputError(f"path: {path!r:.80} is not a valid file name ({error})") from error
    return Path(path)


def _load_safetensors(source: Path) -> Network:
    if source.stat().st_size > MAX_FILE_BYTES:
        raise ModelFileError(f"{source}: expected at most {MAX_FILE_BYTES} bytes, found {source.stat().st_size}")
    tensor_types(source)
    structure, arrays, fingerprint = _read_safetensors(source)
    try:
        network = _network_from_parts(structure, arrays)
    except NetworkError as error:
        raise ModelFileError(f"{source}: {error}") from error
    if network.fingerprint != fingerprint:
        raise ModelFileError(f"{source}: damaged: its values do not match its fingerprint")
    return network


def _write_safetensors(network: Network, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    header = {"format": FORMAT, "network": json.dumps(network.structure()), "fingerprint": network.fingerprint}
    # safetensors does not store 0-d and non-contiguous views correctly, so plain copies are written
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
                content = header.get("format", "a safetensors file of another kind")
                raise ModelFileError(
                    f"{path}: expected a network ({FORMAT}), found {str(content)[:80]!r}; plain weights are read with "
                    "bl_neuro.from_state_dict, which takes a description of their layers"
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
        raise NetworkError([f"expected only arrays of layers, found {', '.join(sorted(unused)[:5])}"])
    shape = structure.get("input_shape")
    if not isinstance(shape, list):
        raise NetworkError(["input_shape: expected a list"])
    readout, arithmetic = structure.get("readout", ""), structure.get("arithmetic", "real")
    return Network(shape, layers, readout, arithmetic)  # validated by the constructor


def _neuron_from_parts(index: int, entry: Any, arrays: dict[str, FloatArray]) -> Any:
    if "neuron" in entry:
        names = [name for name in ("threshold", "bias") if f"layers.{index}.{name}" in arrays]
        parameters = {name: arrays.pop(f"layers.{index}.{name}") for name in names}
        return sigma_delta_neuron(entry["neuron"], parameters, entry.get("activation"))
    names = ["threshold", "current_decay", "voltage_decay", "bias"]
    return CubaLIF(**{name: arrays.pop(f"layers.{index}.{name}") for name in names}, reset=entry["reset"])


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
        weight = arrays.pop(f"layers.{index}.weight")
        neuron: Any = _neuron_from_parts(index, entry, arrays)
        if kind == "input":
            return Input(weight, neuron, arrays.pop(f"layers.{index}.input_bias"))
        extras = {name: arrays.pop(f"layers.{index}.{name}") for name in entry.get("extras", [])}
        if kind == "dense":
            return Dense(weight, neuron, **extras)
        return Conv(weight, neuron, entry["stride"], entry["padding"], entry["dilation"], entry["groups"], **extras)
    except NetworkError as error:
        raise NetworkError([f"layer {index}: {problem}" for problem in error.problems]) from error
    except (KeyError, TypeError) as error:
        raise NetworkError([f"layer {index}: missing or malformed {error}"]) from error
