"""Mutations of NumPy files (`.npy`, `.npz`): arrays and archives without valid inputs, or with wrong headers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Generator = np.random.Generator
Mutation = Callable[[Path, Generator], None]
SHAPES = ((2**40,), (2**20, 2**20, 1), (-1, 3), (0, 3), (2**63,), (), ("3",), (1.5,), None)
"""Wrong shapes for headers."""


def _other_array(path: Path, rng: Generator) -> None:
    choices: list[Any] = [
        np.array([{}, None]), np.array(["a"]), np.ones(3) * 1j, np.zeros(0), np.float64(1), np.full((3, 2, 4), np.nan),
        np.zeros((2, 2), "M8[s]"), np.zeros(2, [("a", "i4")]), np.zeros((1, 1, 4), ">f2"), np.zeros((3, 2, 4), "g"),
    ]  # fmt: skip
    _write(path, _content(choices[rng.integers(len(choices))]), rng)


def _other_header(path: Path, rng: Generator) -> None:
    content = _content(np.zeros((3, 2, 4), np.uint8))
    stated = repr(SHAPES[rng.integers(len(SHAPES))]).encode()
    _write(path, content.replace(b"(3, 2, 4)", stated), rng)


def _no_archive(path: Path, rng: Generator) -> None:
    names = ("spikes.npy", "input.npy", "a.npy", "../../a.npy", "", "spikes")
    with zipfile.ZipFile(path, "w") as archive:
        for name in rng.permutation(names)[: rng.integers(4)]:
            archive.writestr(zipfile.ZipInfo(str(name)), rng.bytes(20))


def _content(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _write(path: Path, content: bytes, rng: Generator) -> None:
    """Writes a file or an archive, with one of the possible compression methods."""
    if path.suffix == ".npy":
        path.write_bytes(content)
        return
    packings = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    member = zipfile.ZipInfo("spikes.npy")  # the same time whenever it is written
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content, packings[rng.integers(4)])


CONTENT_NUMPY: dict[str, Mutation] = {
    "another array": _other_array,
    "another header": _other_header,
    "another archive": _no_archive,
}
