"""Reads untrusted HDF5 files in a child process, since HDF5 crashes and exhausts memory on some damaged files.

The child is confined (`confinement`): it gets an open file, and returns plain arrays over a socket. It is started with
the first file, waits for the next ones, and is replaced after a failure. Threads take turns; a forked process starts
its own child. No process of `multiprocessing` is involved, so that scripts need no main guard.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from bl_neuro.errors import ModelFileError
from bl_neuro.files import what_is_at
from bl_neuro.strangers.hdf5_child import READY, REQUEST
from bl_neuro.strangers.hdf5_tree import GROWTH, SLACK_BYTES
from bl_neuro.strangers.tree_frames import InvalidFrame, Refused, Tree, received_tree

MAX_FILE_BYTES = 2**31 + 2**20
CPU_S = 5
BYTES_PER_CPU_S = 20_000_000
START_S = 120.0
WALL_S = 60.0
"""A file takes at most CPU_S + size / BYTES_PER_CPU_S seconds of processor time, and WALL_S seconds more of waiting."""
MAX_HOLES = 65536
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from bl_neuro.strangers.hdf5_child import main; main(int(sys.argv[1]), sys.argv[2] == 'lasting')"
)
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables that the child gets; none of the others, which may contain tokens."""


def read_hdf5(path: Path, what: str, chunks: bool) -> Tree:
    """The contents of the HDF5 file `path`. What is not supported is a `Refused` in the tree.

    what: kind of file, for messages. chunks: whether arrays may be stored in chunks and compressed.

    Raises:
        ModelFileError: the file is missing, not HDF5, damaged or too large; or reading it crashed, took too long or
            needed too much memory.
    """
    content = what_is_at(path)
    if content != "a file":
        raise ModelFileError(f"{path}: expected {what}, found {content}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ModelFileError(f"{path}: could not be read ({error.strerror})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{path}: expected {what}, found nothing that can be read")
        if status.st_size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {status.st_size}")
        answer = _ROOM.read(path, descriptor, status.st_size, chunks)
    finally:
        os.close(descriptor)
    tree, error_text = answer.get("content"), answer.get("error")
    if isinstance(tree, dict):
        return tree
    raise ModelFileError(f"{path}: {error_text if isinstance(error_text, str) else 'no contents'}")


def first_refusal(tree: Tree, place: str = "") -> str | None:
    """The place and reason of the first entry that could not be read, or None."""
    for name, entry in tree.items():
        if isinstance(entry, Refused):
            return f"{place}/{name}: {entry.reason}"
        reason = first_refusal(entry, f"{place}/{name}") if isinstance(entry, dict) else None
        if reason is not None:
            return reason
    return None


def bytes_on_disk(descriptor: int, size: int) -> int:
    """How many bytes of a file are on the disk rather than holes, which take no room and read as zeros."""
    total, position = 0, 0
    with contextlib.suppress(OSError):
        for _ in range(MAX_HOLES):
            if position >= size:
                return total
            try:
                start = os.lseek(descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return total
                raise
            position = os.lseek(descriptor, start, os.SEEK_HOLE)
            total += position - start
        return total
    return size  # a file system without holes


class ChildLost(Exception):
    """The child ended or did not answer; the message is the reason."""


class NotStarted(Exception):
    """The child could not be started, which says nothing about the file; the message is the reason."""


class _Child:
    """One child process and the socket to it."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        lasting = threading.current_thread() is threading.main_thread()
        arguments = [
            str(os.getpid()),
            "lasting" if lasting else "passing",
            json.dumps([str(entry) for entry in sys.path]),
        ]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-W", "ignore", "-c", CHILD, *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**environment, **threads},
                start_new_session=True,  # Ctrl-C is for its parent
            )
        except OSError as error:
            self.socket.close()
            raise NotStarted(f"the process that reads HDF5 files could not be started ({error})") from error
        finally:
            theirs.close()
        self.deadline = time.monotonic() + START_S
        try:
            if self.receive(len(READY)) == READY:
                return
        except ChildLost:
            pass  # its message is about a file
        raise NotStarted(f"the process that reads HDF5 files {self.end()} before it was ready")

    def ask(self, descriptor: int, size: int, chunks: bool) -> Tree:
        """The answer for one open file."""
        disk_bytes = bytes_on_disk(descriptor, size)
        seconds = CPU_S + disk_bytes // BYTES_PER_CPU_S
        self.deadline = time.monotonic() + WALL_S + 4 * seconds
        try:
            socket.send_fds(self.socket, [REQUEST.pack(disk_bytes, seconds, chunks)], [descriptor])
            return received_tree(self.receive, SLACK_BYTES + (GROWTH + 1) * disk_bytes)
        except InvalidFrame as error:
            self.kill()
            raise ChildLost(f"its contents could not be passed on: {error}") from error
        except OSError as error:
            raise ChildLost(f"HDF5 {self.end()}") from error

    def receive(self, count: int) -> bytearray:
        """Exactly `count` bytes, before the deadline."""
        data = bytearray()
        while len(data) < count:
            self.socket.settimeout(max(0.001, self.deadline - time.monotonic()))
            try:
                part = self.socket.recv(min(count - len(data), 2**20))
            except TimeoutError as error:
                self.kill()
                raise ChildLost("reading it took too long: no answer before the deadline") from error
            except OSError:
                part = b""
            if not part:
                raise ChildLost(f"HDF5 {self.end()}")
            data += part
        return data

    def end(self) -> str:
        """Ends the child; why it had ended before, for messages."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.poll()
        self.kill()
        if code == -signal.SIGXCPU:
            return "took too long: more processor time than a file of this size may take"
        if code is not None and code < 0:
            return f"crashed ({signal.Signals(-code).name})"
        return f"ended (exit code {code})"

    def kill(self) -> None:
        """Ends the child by force."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


class _Room:
    """The child of this process, if one is running."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: _Child | None = None

    def read(self, path: Path, descriptor: int, size: int, chunks: bool) -> Tree:
        """The answer for one open file; on a new child if the waiting one was killed from outside."""
        with self.lock:
            if self.child is not None and self.child.process.poll() is not None:
                self.close()
            try:
                if self.child is None:
                    self.child = _Child()
                return self.child.ask(descriptor, size, chunks)
            except NotStarted as error:
                raise ModelFileError(f"{path}: {error}") from error
            except ChildLost as error:
                self.close()
                raise ModelFileError(f"{path}: damaged or too demanding: {error}") from error
            except BaseException:  # after an interrupt the next answer would be to this request
                self.close()
                raise

    def close(self) -> None:
        """Ends the child, if any."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()


_ROOM = _Room()
_OF_PARENTS: list[_Child] = []
"""Children of the processes that this one was forked from: kept, since they must not be waited for."""


def _after_fork() -> None:
    global _ROOM
    if _ROOM.child is not None:
        _ROOM.child.socket.close()
        _OF_PARENTS.append(_ROOM.child)
    _ROOM = _Room()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _ROOM.close())
