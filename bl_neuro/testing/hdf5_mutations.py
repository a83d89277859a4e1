"""Mutations of the contents of HDF5 files (`.net`, `.nir`): valid HDF5 files that are not valid models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bl_neuro.testing.hdf5_blocks import change_block

Generator = np.random.Generator
Mutation = Callable[[Path, Generator], None]
HUGE = 2**40
JSON_VALUES: list[Any] = [None, [], -1, HUGE, "x", "x" * 1000, {"a": 1}, [HUGE] * 3, 1.5, [[[[0]]]], "dense", [1]]
"""JSON values that replace other values."""


def _values(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _replaced(make: Callable[[h5py.File, str, Any, Generator], None]) -> Mutation:
    """Removes a value from an HDF5 file and replaces it by the result of `make(file, name, value, rng)`."""

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


def _value_for_a_group(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        groups: list[str] = []
        file.visititems(lambda name, item: groups.append(name) if isinstance(item, h5py.Group) else None)
        name = str(rng.choice(groups))
        del file[name]
        _other_dtype(file, name, None, rng)


def _noted(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        held = file["bl_neuro"][()].tobytes() if "bl_neuro" in file else b'{"readout": "spikes", "shapes": {}}'
        note = json.loads(held)
        part = note["shapes"] if note["shapes"] and rng.random() < 0.5 else note
        part[str(rng.choice(sorted(part)))] = JSON_VALUES[rng.integers(len(JSON_VALUES))]
        changed: Any = JSON_VALUES[rng.integers(len(JSON_VALUES))] if rng.random() < 0.1 else note
        if "bl_neuro" in file:
            del file["bl_neuro"]
        file["bl_neuro"] = np.frombuffer(json.dumps(changed).encode(), np.uint8)


def _many(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        parent = file[str(rng.choice(["/", "layer", "layer/0"]))] if "layer/0" in file else file
        for index in range(5000):
            parent.create_group(f"x{index}")


def _swapped(path: Path, rng: Generator) -> None:
    with h5py.File(path, "a") as file:
        names = _values(file)
        first, second = (str(name) for name in rng.choice(names, 2, replace=False))
        for old, new in ((first, "held"), (second, first), ("held", second)):
            file.move(old, new)


BLOCKS = "a metadata block changed"
CONTENT_HDF5: dict[str, Mutation] = {
    BLOCKS: change_block,
    "a value missing": _replaced(lambda file, name, value, rng: None),
    "a group for a value": _replaced(lambda file, name, value, rng: file.create_group(name)),
    "a value for a group": _value_for_a_group,
    "another dtype": _replaced(_other_dtype),
    "another value": _replaced(_other_value),
    "another shape": _replaced(_other_shape),
    "a huge shape": _replaced(_huge),
    "stored otherwise": _replaced(_stored_otherwise),
    "a link": _replaced(_linked),
    "many keys": _many,
    "keys swapped": _swapped,
}
CONTENT_NET: dict[str, Mutation] = {"another note": _noted}
"""Mutations for `.net` files only: of the JSON that netx ignores."""
