"""Valid models and inputs, and random mutations of their bytes and contents, to test readers of untrusted files.

Mutations depend only on the given random generator, so that a file can be recreated from its seed.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bl_neuro.errors import BlNeuroError
from bl_neuro.layers import Conv, Dense, Flatten, Input, Layer
from bl_neuro.model_file import save
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.hdf5_mutations import BLOCKS, CONTENT_HDF5, CONTENT_NET, HUGE, JSON_VALUES, Generator, Mutation
from bl_neuro.testing.nir_mutations import CONTENT_NIR, looped_file
from bl_neuro.testing.numpy_mutations import CONTENT_NUMPY
from bl_neuro.testing.random_networks import random_conv, random_dense


def valid_files(folder: Path) -> list[Path]:
    """Writes small networks in every readable format. All returned files can be loaded."""
    unfiltered = {"unfiltered": random_dense(2, (6, 5, 3), filtered=False), "images": random_conv(2, filtered=False)}
    networks = {"dense": random_dense(1, (6, 5, 3)), "conv": random_conv(1), **unfiltered, **_loihi_networks()}
    written = []
    for name, network in networks.items():
        for suffix in (".net", ".safetensors", ".nir"):
            path = folder / f"{name}{suffix}"
            try:
                save(network, path)
            except BlNeuroError:  # the format cannot say this
                continue
            written.append(path)
    exported = folder / "exported.net"
    shutil.copy(folder / "current.net", exported)
    with h5py.File(exported, "a") as file:  # as SLAYER writes it: a string of any length, float32 weights
        for block in file["layer"].values():
            for key in ("weight", "neuron/type"):
                if key in block:
                    value = block[key][()]
                    del block[key]
                    block[key] = value[0].decode() if key == "neuron/type" else value.astype(np.float32)
    latest = folder / "latest.net"
    with h5py.File(exported) as old, h5py.File(latest, "w", libver="latest") as new:
        old.copy("layer", new)
    foreign = _of_others(folder)
    return [
        *written,
        exported,
        latest,
        foreign,
        looped_file(folder / "looped.nir"),
        *_packed(foreign),
        *_inputs(folder),
    ]


def _of_others(folder: Path) -> Path:
    """Creates a `.nir` file without the metadata of bl-neuro."""
    foreign = folder / "foreign.nir"
    shutil.copy(folder / "unfiltered.nir", foreign)
    with h5py.File(foreign, "a") as file:
        del file["node/metadata"]
        for node in file["node/nodes"].values():
            if "metadata" in node:
                del node["metadata"]
    return foreign


def _packed(path: Path) -> list[Path]:
    """Copies of a `.nir` file with compressed arrays, in the oldest and the latest layout of HDF5."""
    copies = [path.with_name(f"{version}.nir") for version in ("earliest", "latest")]
    for copy in copies:
        with h5py.File(path) as old, h5py.File(copy, "w", libver=copy.stem) as new:

            def add(name: str, item: Any) -> None:
                if isinstance(item, h5py.Group):
                    new.require_group(name)
                elif item.dtype.kind in "iuf" and item.size > 1:
                    chunk = tuple(max(1, size // 2) for size in item.shape)
                    new.create_dataset(name, data=item[()], compression="gzip", shuffle=True, chunks=chunk)
                else:
                    old.copy(item, new, name)

            old.visititems(add)
    return copies


def _inputs(folder: Path) -> list[Path]:
    """Creates files for `bl_neuro.deploy.parity.read_inputs`."""
    spikes = (np.random.default_rng(0).random((20, 4, 8)) < 0.3).astype(np.uint8)
    paths = [folder / "inputs.npy", folder / "plain.npz", folder / "packed.npz"]
    for path, write in zip(paths, (np.save, np.savez, np.savez_compressed)):
        write(path, spikes)
    return paths


def _loihi_networks() -> dict[str, Network]:
    rng = np.random.default_rng(0)
    neuron = CubaLIF(80, 1024 / 4096, 123 / 4096)
    weights = rng.integers(-100, 100, (7, 4)), rng.integers(-100, 100, (3, 7)), rng.integers(-100, 100, (2, 1, 2, 2))
    delayed = Dense(weights[0], neuron, delay=rng.integers(0, 63, (7, 4)))
    looped = Dense(weights[1], CubaLIF(2**17, 0.0, 1.0), recurrent=rng.integers(-100, 100, (3, 3)))
    image: list[Layer] = [
        Input(40, neuron, 3),
        Conv(weights[2], neuron),
        Flatten(),
        Dense(rng.integers(-100, 100, (3, 18)), neuron),
    ]
    return {
        "delayed": Network((4,), [delayed, looped], "membrane", "loihi"),
        "current": Network((1, 4, 4), image, arithmetic="loihi"),
    }


def mutate(source: Path, target: Path, rng: Generator) -> str:
    """Writes a mutation of `source` to `target` and returns its description."""
    shutil.copyfile(source, target)
    inside = CONTENT[source.suffix]
    kind = str(rng.choice(sorted(inside))) if rng.random() < 0.5 else str(rng.choice(sorted(BYTES)))
    if BLOCKS in inside and rng.random() < 0.4:
        kind = BLOCKS  # where HDF5 itself fails
    ({**BYTES, **inside})[kind](target, rng)
    return kind


def _edit(change: Callable[[bytearray, Generator], bytes | bytearray]) -> Mutation:
    def mutation(path: Path, rng: Generator) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), rng))

    return mutation


def _flip_bits(data: bytearray, rng: Generator) -> bytearray:
    # half of them at the start, where what describes the rest lies
    span = len(data) if rng.random() < 0.5 else min(len(data), 4096)
    for position in rng.integers(0, span, rng.integers(1, 17)):
        data[position] ^= 1 << int(rng.integers(8))
    return data


def _overwrite(data: bytearray, rng: Generator) -> bytearray:
    number = (0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)[rng.integers(7)]
    span = len(data) if rng.random() < 0.5 else min(len(data), 4096)
    for position in rng.integers(0, span - 8, rng.integers(1, 5)):
        data[position : position + 8] = struct.pack("<Q", number)
    return data


def _move(data: bytearray, rng: Generator) -> bytearray:
    start, end = sorted(rng.integers(0, len(data), 2).tolist())
    at = int(rng.integers(len(data)))
    data[at : at + end - start] = data[start:end]
    return data


BYTES: dict[str, Mutation] = {
    "bits flipped": _edit(_flip_bits),
    "truncated": _edit(lambda data, rng: data[: rng.integers(len(data))]),
    "numbers overwritten": _edit(_overwrite),
    "a range moved": _edit(_move),
    "zeros": _edit(lambda data, rng: data[: (at := rng.integers(len(data)))] + bytes(64) + data[at + 64 :]),
    "noise appended": _edit(lambda data, rng: data + rng.bytes(100)),
}


def _header(change: Callable[[dict[str, Any], str, Generator], None]) -> Mutation:
    """Changes the JSON header of a safetensors file; `change` gets the name of one array."""

    def mutation(path: Path, rng: Generator) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header, str(rng.choice(sorted(set(header) - {"__metadata__"}))), rng)
        encoded = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data[8 + length :])

    return mutation


def _structure(header: dict[str, Any], name: str, rng: Generator) -> None:
    structure = json.loads(header["__metadata__"]["network"])
    parts = [structure, *[layer for layer in structure["layers"] if isinstance(layer, dict)]]
    part = parts[rng.integers(len(parts))]
    part[str(rng.choice(sorted(part)))] = JSON_VALUES[rng.integers(len(JSON_VALUES))]
    header["__metadata__"]["network"] = json.dumps(structure)


def _rename(header: dict[str, Any], name: str, rng: Generator) -> None:
    header[f"{name}x"] = header.pop(name)


def _bomb(header: dict[str, Any], name: str, rng: Generator) -> None:
    """Makes the header large: nested lists or many tensors, below and above the limit."""
    count = int(rng.choice([10, 1000, 20_000, 300_000]))
    entry = {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}
    bombs: list[dict[str, Any]] = [
        {"x": [[[]]] * count},
        {"__metadata__": {str(index): "x" for index in range(count)}},
        {str(index): entry for index in range(count)},
    ]
    header.update(bombs[rng.integers(3)])


CONTENT_SAFETENSORS: dict[str, Mutation] = {
    "a large header": _header(_bomb),
    "an unusual dtype": _header(
        lambda header, name, rng: header[name].update(dtype=str(rng.choice(["F4", "F8_E8M0", "C64", "F6_E2M3", "U16"])))
    ),
    "another shape": _header(
        lambda header, name, rng: header[name].update(
            shape=[[], [0], [-1], [1.5], "x", [[1]], [HUGE, HUGE], [1] * 70][rng.integers(8)]
        )
    ),
    "an array missing": _header(lambda header, name, rng: header.pop(name)),
    "an array renamed": _header(_rename),
    "another dtype": _header(
        lambda header, name, rng: header[name].update(dtype=str(rng.choice(["F32", "I64", "BOOL", "X9", "BF16"])))
    ),
    "a huge shape": _header(lambda header, name, rng: header[name].update(shape=[HUGE, int(rng.integers(1, 9))])),
    "other offsets": _header(lambda header, name, rng: header[name].update(data_offsets=[0, HUGE])),
    "another structure": _header(_structure),
    "no metadata": _header(lambda header, name, rng: header.pop("__metadata__")),
}
CONTENT: dict[str, dict[str, Mutation]] = {
    ".net": {**CONTENT_HDF5, **CONTENT_NET},
    ".nir": {**CONTENT_HDF5, **CONTENT_NIR},
    ".safetensors": CONTENT_SAFETENSORS,
    ".npy": CONTENT_NUMPY,
    ".npz": CONTENT_NUMPY,
}
"""Mutations of file contents, by suffix."""
