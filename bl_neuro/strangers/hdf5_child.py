"""The child process that reads HDF5 files for `reading_room`, confined to one open file at a time.

Its standard input is a socket. A request is `REQUEST` with the descriptor of a file that is open for reading; the
answer is a message of `tree_frames`: {"content": tree}, or {"error": reason}.
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import os
import socket
import struct
from typing import BinaryIO

import numpy as np

from bl_neuro.strangers.confinement import confine, end_with_parent, limit_memory_and_time
from bl_neuro.strangers.hdf5_tree import GROWTH, SLACK_BYTES, Rejected, tree_in
from bl_neuro.strangers.tree_frames import Tree, encoded_tree

REQUEST = struct.Struct("<QQ?")
"""Bytes of the file on the disk, seconds of processor time, and whether arrays may be stored in chunks."""
READY = b"ready"
PARENT_CHECK_S = 2.0
SPARE_BYTES = 2**27
"""Memory for everything but the values of the file."""


def main(parent: int, parent_is_lasting: bool) -> None:
    """Answers requests until the other end of the socket is closed or the process `parent` is gone.

    parent_is_lasting: whether the thread that started this process lives as long as its process.
    """
    if parent_is_lasting:
        end_with_parent(parent)
    channel = socket.socket(fileno=0)
    _warm_up()
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    confine(free_descriptors=1)
    channel.sendall(READY)
    while True:
        channel.settimeout(PARENT_CHECK_S)
        try:
            request, descriptors, _, _ = socket.recv_fds(channel, REQUEST.size, 1)
        except TimeoutError:
            if os.getppid() != parent:
                os._exit(0)
            continue
        if len(request) != REQUEST.size or len(descriptors) != 1:
            os._exit(0)
        channel.settimeout(None)
        disk_bytes, seconds, chunks = REQUEST.unpack(request)
        limit_memory_and_time(statm, 2 * (SLACK_BYTES + GROWTH * disk_bytes) + SPARE_BYTES, seconds)
        with os.fdopen(descriptors[0], "rb") as file:
            answer = _answer(file, disk_bytes, chunks)
            for part in encoded_tree(answer):
                channel.sendall(part)
        del answer
        gc.collect()


def _answer(file: BinaryIO, disk_bytes: int, chunks: bool) -> Tree:
    try:
        return {"content": tree_in(file, disk_bytes, chunks)}
    except Rejected as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "reading it needs more memory than a file of this size may take"}


def _warm_up() -> None:
    """Reads small files with everything that a file may contain, so that nothing needs to be imported once confined."""
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
        encoded_tree(tree_in(memory, len(memory.getvalue()), chunks=True))
    for damaged in (b"no such file", memory.getvalue()[:300]):
        with contextlib.suppress(Rejected):
            tree_in(io.BytesIO(damaged), len(damaged), chunks=True)
