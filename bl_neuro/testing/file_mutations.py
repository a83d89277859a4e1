"""Model files that nobody would write on purpose: valid ones, and seeded mutations of their bytes and of their content.

What a mutation does is drawn by the generator it is given, so that a file can be made again from its seed.
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
from bl_neuro.testing.random_networks import random_conv, random_dense

Generator = np.random.Generator
Mutation = Callable[[Path, Generator], None]
HUGE = 2**40


def valid_files(folder: Path) -> list[Path]:
    """Writes small networks in every format that can be read here; what is listed loads."""
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
    return [*written, exported, latest]


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
    """Writes a mutation of `source` to `target`; says which."""
    shutil.copyfile(source, target)
    inside = CONTENT_SAFETENSORS if source.suffix == ".safetensors" else CONTENT_HDF5
    kind = str(rng.choice(sorted(inside))) if rng.random() < 0.5 else str(rng.choice(sorted(BYTES)))
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


def _values(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _replaced(make: Callable[[h5py.File, str, Any, Generator], None]) -> Mutation:
    """Takes a value out of an HDF5 file and lets `make(file, its name, the value, rng)` put something in its place."""

    def mutation(path: Path, rng: Generator) -> None:
        with h5py.File(path, "a") as file:
            name = str(rng.choice(_values(file)))
            value = file[name][()]
            del file[name]
            make(file, name, value, rng)

    return mutation


def _other_dtype(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    words = ["", "SDNN", "é", "x" * 100_000]
    choices: list[Any] = [
        np.complex64(1j), np.float16(3), np.bool_(True), np.uint8(255), np.int64(-1), np.float32(2.5), np.longdouble(1),
        np.zeros(2, [("a", "i4"), ("b", "f8")]), np.bytes_(b"word"), h5py.Empty("f8"), np.zeros(0), *words,
    ]  # fmt: skip
    file[name] = choices[rng.integers(len(choices))]


def _other_value(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    numbers = [np.nan, np.inf, -np.inf, -1, 1e300, 2**31, 0.5, 0, -129, 300, 4097, 2**17 + 1]
    array = np.array(value, dtype=np.float64) if np.asarray(value).dtype.kind in "iufb" else np.zeros(3)
    array.flat[rng.integers(array.size)] = numbers[rng.integers(len(numbers))]
    file[name] = array


def _other_shape(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    array = np.atleast_1d(value)
    shapes = [(-1,), (1, -1), (-1, 1, 1), (*array.shape, 1), array.shape[::-1]]
    file[name] = np.tile(array.reshape(shapes[rng.integers(len(shapes))]), int(rng.integers(1, 3)))


def _huge(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    shape = [(HUGE,), (2**20, 2**20), (2**27,), (2**31, 2**12)][rng.integers(4)]
    options: list[dict[str, Any]] = [
        {"chunks": (1024,) * len(shape)},
        {},
        {"chunks": (1024,) * len(shape), "compression": "gzip"},
    ]
    file.create_dataset(name, shape, np.int32, **options[rng.integers(3)])


def _stored_otherwise(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    array = np.atleast_1d(np.asarray(value)) if np.asarray(value).dtype.kind != "O" else np.zeros(3)
    kind = rng.integers(4)
    if kind == 0:
        layout = h5py.VirtualLayout(array.shape, array.dtype)
        layout[...] = h5py.VirtualSource("elsewhere.net", name, array.shape)
        file.create_virtual_dataset(name, layout)
    elif kind == 1:
        external = [("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset(name, array.shape, array.dtype, external=external)
    else:
        file.create_dataset(name, data=array, chunks=True, compression="gzip" if kind == 2 else "lzf")


def _linked(file: h5py.File, name: str, value: Any, rng: Generator) -> None:
    targets = [h5py.SoftLink("/layer"), h5py.SoftLink(f"/{name}"), h5py.ExternalLink("/etc/hostname", "/"), file["/"]]
    file[name] = targets[rng.integers(4)]


def _many(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        parent = file[str(rng.choice(["/", "layer", "layer/0"]))] if "layer/0" in file else file
        for index in range(5000):
            parent.create_group(f"x{index}")


def _swapped(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        names = _values(file)
        first, second = (str(each) for each in rng.choice(names, 2, replace=False))
        for old, new in ((first, "held"), (second, first), ("held", second)):
            file.move(old, new)


CONTENT_HDF5: dict[str, Mutation] = {
    "a value missing": _replaced(lambda file, name, value, rng: None),
    "a group for a value": _replaced(lambda file, name, value, rng: file.create_group(name)),
    "another dtype": _replaced(_other_dtype),
    "another value": _replaced(_other_value),
    "another shape": _replaced(_other_shape),
    "a huge shape": _replaced(_huge),
    "stored otherwise": _replaced(_stored_otherwise),
    "a link": _replaced(_linked),
    "many keys": _many,
    "keys swapped": _swapped,
}


def _header(change: Callable[[dict[str, Any], str, Generator], None]) -> Mutation:
    """Changes the JSON header of a safetensors file; `change` is given one array's name."""

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
    values: list[Any] = [None, [], -1, HUGE, "x" * 1000, {"a": 1}, [HUGE] * 3, 1.5, [[[[0]]]], "dense"]
    part[str(rng.choice(sorted(part)))] = values[rng.integers(len(values))]
    header["__metadata__"]["network"] = json.dumps(structure)


def _rename(header: dict[str, Any], name: str, rng: Generator) -> None:
    header[f"{name}x"] = header.pop(name)


CONTENT_SAFETENSORS: dict[str, Mutation] = {
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
