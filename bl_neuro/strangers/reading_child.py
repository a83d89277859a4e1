"""The child process of a `ReadingRoom`, confined to one open file at a time.

Its standard input is a socket. A request is `REQUEST` with the descriptor of a file that is open for reading; the
answer is a message of `tree_frames`: {"content": tree}, or {"error": reason}.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from bl_neuro.strangers.confinement import confine, end_with_parent, limit_memory_and_time
from bl_neuro.strangers.tree_frames import Tree, encoded_tree

Options = tuple[int, int, int]
REQUEST = struct.Struct("<3Q3I")
"""Bytes of the file on the disk, bytes that its values may take, seconds of processor time, and the options."""
READERS = {"hdf5": "bl_neuro.strangers.hdf5_reader", "images": "bl_neuro.strangers.image_reader"}
"""The modules with a `READER`."""
READY = b"ready"
PARENT_CHECK_S = 2.0


class Rejected(Exception):
    """The whole file is refused; the message gives the reason."""


@dataclass(frozen=True)
class Reader:
    """Reads one kind of file.

    warm_up: reads small files with everything that a file may contain, since nothing can be imported once confined.
    read: what an open file contains, from its bytes on the disk, the bytes that its values may take, and the options;
    raises Rejected. memory: bytes that it may allocate, from the same two numbers.
    """

    warm_up: Callable[[], None]
    read: Callable[[BinaryIO, int, int, Options], Tree]
    memory: Callable[[int, int], int]


def main(name: str, parent: int, parent_is_lasting: bool) -> None:
    """Answers requests until the other end of the socket is closed or the process `parent` is gone.

    name: of the reader. parent_is_lasting: whether the thread that started this process lives as long as its process.
    """
    if parent_is_lasting:
        end_with_parent(parent)
    reader: Reader = importlib.import_module(READERS[name]).READER
    reader.warm_up()
    gc.freeze()  # what is there now stays, so that collecting after each file is quick
    serve(reader, parent)


def serve(reader: Reader, parent: int) -> None:
    """Confines this process, and answers requests."""
    channel = socket.socket(fileno=0)
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
        with os.fdopen(descriptors[0], "rb") as file:
            for part in encoded_tree(_answer(reader, file, statm, REQUEST.unpack(request))):
                channel.sendall(part)
        gc.collect()


def _answer(reader: Reader, file: BinaryIO, statm: int, request: tuple[int, ...]) -> Tree:
    disk_bytes, most_bytes, seconds, first, second, third = request
    limit_memory_and_time(statm, reader.memory(disk_bytes, most_bytes), seconds)
    try:
        return {"content": reader.read(file, disk_bytes, most_bytes, (first, second, third))}
    except Rejected as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "reading it needs more memory than a file of this size may take"}
