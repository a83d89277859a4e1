"""Reads HDF5 files in the child process of the reading room. Option 0: whether arrays may be stored in chunks."""

from __future__ import annotations

import codecs
import contextlib
import io
from typing import BinaryIO

import numpy as np

from bl_neuro.strangers.hdf5_tree import tree_in
from bl_neuro.strangers.reading_child import Options, Reader, Rejected
from bl_neuro.strangers.tree_frames import Tree, encoded_tree

SPARE_BYTES = 2**27
"""Memory for everything but the values of the file."""
MOST_BYTES = 2**20
"""Size of the values of the files that warm it up."""


def _read(file: BinaryIO, disk_bytes: int, most_bytes: int, options: Options) -> Tree:
    return tree_in(file, disk_bytes, most_bytes, bool(options[0]))


def _memory(disk_bytes: int, most_bytes: int) -> int:
    return 2 * (most_bytes + disk_bytes) + SPARE_BYTES


def _warm_up() -> None:
    import h5py

    for encoding in ("ascii", "latin-1", "utf-8"):
        codecs.lookup(encoding)
    for version in ("earliest", "latest"):
        memory = io.BytesIO()
        with h5py.File(memory, "w", libver=version) as file:
            for kind in ("?", "<i1", ">i8", "<f2", ">f4", "<f8", "<c8", "S3"):
                file[f"group/{kind}"] = np.zeros(2, kind)
            file["word"], file["none"], file["type"] = "word", h5py.Empty("f8"), np.dtype("f8")
            file["words"] = np.array(["ab", "c"], h5py.string_dtype())
            file["link"], file["outside"] = h5py.SoftLink("/word"), h5py.ExternalLink("none", "/")
            file["record"] = np.zeros(2, [("a", "i4"), ("b", "f8")])
            file.create_dataset("packed", data=np.arange(9), compression=1, shuffle=True)
            file.create_dataset("lists", (2,), h5py.vlen_dtype("f8"))
            file.create_dataset("elsewhere", (2,), "u1", external=[("none", 0, 2)])
        encoded_tree(tree_in(memory, len(memory.getvalue()), MOST_BYTES, chunks=True))
    for damaged in (b"no such file", memory.getvalue()[:300]):
        with contextlib.suppress(Rejected):
            tree_in(io.BytesIO(damaged), len(damaged), MOST_BYTES, chunks=True)


READER = Reader(_warm_up, _read, _memory)
