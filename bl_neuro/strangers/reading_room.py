"""Reads untrusted files in child processes, since C libraries crash and exhaust memory on some damaged files.

Each kind of file has a `ReadingRoom` with a child of its own. The child is confined (`confinement`): it gets an open
file, and returns plain arrays over a socket. It is started with the first file, waits for the next ones, and is
replaced after a failure. Threads take turns; a forked process starts its own child. No process of `multiprocessing` is
involved, so that scripts need no main guard.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from bl_neuro.strangers.budget import GROWTH, memory_budget
from bl_neuro.strangers.reading_child import READY, REQUEST, Options
from bl_neuro.strangers.tree_frames import InvalidFrame, Tree, received_tree

CPU_S = 5
BYTES_PER_CPU_S = 20_000_000
START_S = 120.0
WALL_S = 60.0
"""A file takes at most CPU_S + size / BYTES_PER_CPU_S seconds of processor time, more if the user allows more memory
(`bl_neuro.strangers.budget`), and WALL_S seconds more of waiting."""
MAX_HOLES = 65536
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[4]); "
    "from bl_neuro.strangers.reading_child import main; main(sys.argv[3], int(sys.argv[1]), sys.argv[2] == 'lasting')"
)
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables that the child gets; none of the others, which may contain tokens."""


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


class ReadingFailed(Exception):
    """A file was not read; the message is the reason. started: whether the child did start."""

    def __init__(self, reason: str, started: bool = True) -> None:
        super().__init__(reason)
        self.started = started


class _Child:
    """One child process and the socket to it. reader, decoder: see `ReadingRoom`."""

    def __init__(self, reader: str, decoder: str) -> None:
        self.decoder = decoder
        self.socket, theirs = socket.socketpair()
        lasting = threading.current_thread() is threading.main_thread()
        arguments = [
            str(os.getpid()),
            "lasting" if lasting else "passing",
            reader,
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
            raise ReadingFailed(f"could not be started ({error})", started=False) from error
        finally:
            theirs.close()
        self.deadline = time.monotonic() + START_S
        try:
            if self.receive(len(READY)) == READY:
                return
        except ReadingFailed:
            pass  # its message is about a file
        raise ReadingFailed(f"{self.end()} before it was ready", started=False)

    def ask(self, descriptor: int, disk_bytes: int, most_bytes: int, options: Options) -> Tree:
        """The answer for one open file. most_bytes: that its values may take."""
        seconds = CPU_S + (disk_bytes + most_bytes // GROWTH) // BYTES_PER_CPU_S
        self.deadline = time.monotonic() + WALL_S + 4 * seconds
        try:
            socket.send_fds(self.socket, [REQUEST.pack(disk_bytes, most_bytes, seconds, *options)], [descriptor])
            return received_tree(self.receive, most_bytes + disk_bytes)
        except InvalidFrame as error:
            self.kill()
            raise ReadingFailed(f"its contents could not be passed on: {error}") from error
        except OSError as error:
            raise ReadingFailed(f"{self.decoder} {self.end()}") from error

    def receive(self, count: int) -> bytearray:
        """Exactly `count` bytes, before the deadline."""
        data = bytearray()
        while len(data) < count:
            self.socket.settimeout(max(0.001, self.deadline - time.monotonic()))
            try:
                part = self.socket.recv(min(count - len(data), 2**20))
            except TimeoutError as error:
                self.kill()
                raise ReadingFailed("reading it took too long: no answer before the deadline") from error
            except OSError:
                part = b""
            if not part:
                raise ReadingFailed(f"{self.decoder} {self.end()}")
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


class ReadingRoom:
    """Reads one kind of file, in a child that runs if there was a file already.

    reader: a name in `reading_child.READERS`. decoder: the library that reads, for messages. files: the kind of files,
    for messages. Values may take as much memory as `bl_neuro.strangers.budget` says.
    """

    def __init__(self, reader: str, decoder: str, files: str) -> None:
        self.reader, self.decoder, self.files = reader, decoder, files
        self.lock = threading.Lock()
        self.child: _Child | None = None
        self._of_parents: list[_Child] = []
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.close)

    def read(self, descriptor: int, size: int, options: Options) -> Tree:
        """What the reader finds in one open file of `size` bytes; on a new child if the last one was killed.

        options: for the reader.

        Raises:
            ReadingFailed: the file cannot be read, or reading it crashed, took too long or needed too much memory.
                InputError: the environment variable for the memory is not a number.
        """
        disk_bytes = bytes_on_disk(descriptor, size)
        most_bytes = memory_budget(disk_bytes)
        with self.lock:
            if self.child is not None and self.child.process.poll() is not None:
                self.close()
            try:
                if self.child is None:
                    self.child = _Child(self.reader, self.decoder)
                answer = self.child.ask(descriptor, disk_bytes, most_bytes, options)
            except ReadingFailed as error:
                self.close()
                if error.started:
                    raise ReadingFailed(f"damaged or too demanding: {error}") from error
                raise ReadingFailed(f"the process that reads {self.files} {error}", started=False) from error
            except BaseException:  # after an interrupt the next answer would be to this request
                self.close()
                raise
        tree, reason = answer.get("content"), answer.get("error")
        if not isinstance(tree, dict):
            raise ReadingFailed(reason if isinstance(reason, str) else "no contents")
        return tree

    def close(self) -> None:
        """Ends the child, if any."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()

    def _after_fork(self) -> None:
        if self.child is not None:
            self.child.socket.close()
            self._of_parents.append(self.child)  # kept, since it must not be waited for
        self.child, self.lock = None, threading.Lock()
