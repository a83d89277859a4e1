"""Supervises the child process with the Lava network: starts it, waits with a deadline, kills it and cleans up.

Lava hangs forever on an error in a process model or when one of its processes is killed, and leaves processes and
shared memory behind when it is not stopped. The child therefore has its own process group, every wait has a deadline
and monitors all of its processes, and ending it kills the group and removes its shared memory. If this process is
killed, the child's guard does that, which is a process outside of the group: see `child`.

The child is reaped last, when its group is empty: until then its process id cannot be reused, so that a signal to the
group never reaches an unrelated process.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from bl_neuro.arrays import IntArray
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.lava.child import encode_frame, read_frame, remove_shared_memory
from bl_neuro.errors import SubstrateFailed

KILL_S = 10.0
"""Seconds to wait for a killed process to disappear."""
GUARD_S = 2.0
"""Seconds to wait for the guard of a child to end."""
NEEDED_MEMORY = {resource.RLIMIT_AS: ("-v", 640 * 2**20), resource.RLIMIT_DATA: ("-d", 224 * 2**20)}
"""Bytes that the limits of a process must allow for the smallest network, and the options of `ulimit` that set them."""
CHILD = Path(__file__).with_name("child.py")


class ChildDied(SubstrateFailed):
    """A process of the simulation ended or was killed; the query can be repeated on a new simulation."""


@dataclass(frozen=True)
class Plan:
    """Parameters of a simulation: a .net file, samples of `steps` time steps; see `child` for the other fields."""

    net: Path
    steps: int
    layers: bool
    samples: int
    start: Start
    units: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Spikes (T, *shape) of recorded layers, uint8; the states of every layer, int32, if requested. In Lava's layout.

    Graded messages are int32; those of the output after a cold start include the time steps before its first input.
    """

    spikes: list[IntArray]
    states: list[tuple[IntArray, ...]]


class LavaProcess:
    """One child process. Only one thread at a time may query it; any thread may end it, even during a query.

    folder: folder for the simulation's sockets; the child's guard deletes it if this process disappears.

    Raises:
        SubstrateFailed: by every method, if the simulation reports an error or exceeds its deadline.
        ChildDied: by every method, if one of its processes is gone. In both cases the child has been cleaned up.
    """

    def __init__(self, folder: Path, python: str = sys.executable, child: Path = CHILD) -> None:
        self._prefix = f"blneuro{os.getpid()}x{secrets.token_hex(4)}"
        self._actors: list[psutil.Process] = []
        self._asking = threading.RLock()  # held while the pipes are in use
        self._ending = threading.RLock()
        self._life, guard_end = socket.socketpair()  # to the guard, see `child`
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        # More threads per product would only compete for the cores: Lava runs one process per layer.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        arguments = [str(guard_end.fileno()), str(os.getpid()), self._prefix, str(folder)]
        try:
            self._process = subprocess.Popen(
                [python, "-W", "ignore", str(child), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
                env={**os.environ, **threads, "CUDA_VISIBLE_DEVICES": ""},
                bufsize=0,
                pass_fds=(guard_end.fileno(),),
            )
        except OSError as error:
            self._life.close()
            self._log.close()
            raise SubstrateFailed(f"lava: could not start the interpreter {python}: {error}") from error
        finally:
            guard_end.close()

    @property
    def pid(self) -> int:
        """Process id of the child, which is also the id of its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child and all of the simulation's processes are running."""
        return not self._has_ended() and all(map(_is_running, self._actors))

    def open(self, plan: Plan, deadline_s: float) -> None:
        """Loads the .net file and starts its simulation."""
        reply, _ = self._ask({"op": "open", **asdict(plan), "net": str(plan.net)}, b"", deadline_s, "starting")
        try:
            self._actors = [psutil.Process(pid) for pid in reply["actors"]]
        except psutil.NoSuchProcess as error:
            self.kill()
            raise ChildDied("lava: one of its processes ended while starting") from error

    def run(self, frames: bytes, states: bool, deadline_s: float) -> Answer:
        """The answer to one sample, (T, *lava input shape): spikes as bytes, or currents of 32 bits."""
        reply, payload = self._ask({"op": "run", "states": states}, frames, deadline_s, "a query")
        spikes, offset = _unpacked(payload, 0, reply["shapes"], np.int32 if reply["graded"] else np.uint8)
        layers: list[tuple[IntArray, ...]] = []
        for shapes in reply["states"]:
            values, offset = _unpacked(payload, offset, shapes, np.int32)
            layers.append(tuple(values))
        return Answer(spikes, layers)

    def close(self, grace_s: float = 5.0) -> None:
        """Stops the simulation, by force if it does not respond, and removes all of its resources."""
        try:
            if self._asking.acquire(blocking=False):
                try:
                    self._end_in_order(grace_s)
                finally:
                    self._asking.release()
        finally:
            self.kill()

    def kill(self) -> None:
        """Kills the process group and removes its shared memory. Can be called repeatedly."""
        with self._ending:
            if self._process.returncode is None:
                self._end_group()
                remove_shared_memory(self._prefix)
                self._dismiss_guard()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(KILL_S)
        if self._asking.acquire(blocking=False):  # a thread that uses the pipes will fail and call this as well
            try:
                for pipe in (self._process.stdin, self._process.stdout, self._log):
                    if pipe is not None:
                        with contextlib.suppress(OSError):
                            pipe.close()
            finally:
                self._asking.release()

    def _end_in_order(self, grace_s: float) -> None:
        if not self.alive:
            return
        with contextlib.suppress(OSError, ValueError):
            descriptor = _pipe(self._process.stdin).fileno()
            os.set_blocking(descriptor, False)
            os.write(descriptor, encode_frame({"op": "close"}))
        end = time.monotonic() + grace_s
        while not self._has_ended() and time.monotonic() < end:
            time.sleep(0.01)

    def _end_group(self) -> None:
        end = time.monotonic() + KILL_S
        while time.monotonic() < end:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if not _running_members(self._process.pid):
                return
            time.sleep(0.005)

    def _dismiss_guard(self) -> None:
        """Ends the guard, before the child is reaped and its process id may be used by another process."""
        pid = b""
        with contextlib.suppress(OSError):
            self._life.settimeout(GUARD_S)
            self._life.sendall(b".")
        with contextlib.suppress(OSError):
            while part := self._life.recv(64):  # its process id; the stream ends with the guard
                pid += part
            pid = b""
        if pid:  # it is stopped
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(pid), signal.SIGKILL)
        self._life.close()

    def _has_ended(self) -> bool:
        """Whether the child has ended; this does not reap it, see the module."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _ask(
        self, request: dict[str, Any], payload: bytes, deadline_s: float, doing: str
    ) -> tuple[dict[str, Any], bytes]:
        with self._asking:
            wait = _Wait(self, deadline_s, doing)
            try:
                send(_pipe(self._process.stdin), encode_frame(request, payload), wait.check)
                reply, answer = read_frame(lambda count: receive(_pipe(self._process.stdout), count, wait.check))
            except (OSError, EOFError, ValueError) as error:
                self._check_memory_limits()
                reason = f"{self.memory_limits()}{self.log_tail()}"
                self.kill()
                raise ChildDied(f"lava: its process ended while {doing}{reason}") from error
            except BaseException:  # after a missed deadline or an interrupt the child cannot be used any more
                self.kill()
                raise
        if "error" in reply:
            limits = self.memory_limits()
            self.kill()
            raise SubstrateFailed(f"lava: {doing} failed: {reply['error']}{limits}")
        return reply, answer

    def check(self, doing: str) -> None:
        """Raises if a process has ended, or may not take the memory that Lava needs."""
        self._check_memory_limits()
        if not self.alive:
            raise ChildDied(
                f"lava: one of its processes was killed or ended while {doing}{self.memory_limits()}{self.log_tail()}"
            )

    def _check_memory_limits(self) -> None:
        for limit, (option, needed) in NEEDED_MEMORY.items():
            allowed = self._limit(limit)
            if allowed is not None and allowed < needed:
                self.kill()
                raise SubstrateFailed(
                    f"lava: expected at least {needed // 2**20} MiB of memory for its processes, found a limit of "
                    f"{allowed // 2**20} MiB (ulimit {option}); raise the limit"
                )

    def memory_limits(self) -> str:
        """The limits of the child's memory, if any, as a suffix of an error message."""
        limits = [(option, self._limit(limit)) for limit, (option, _) in NEEDED_MEMORY.items()]
        texts = [f"{allowed // 2**20} MiB (ulimit {option})" for option, allowed in limits if allowed is not None]
        return f"; its memory is limited to {' and '.join(texts)}" if texts else ""

    def _limit(self, limit: int) -> int | None:
        with contextlib.suppress(OSError):
            soft = resource.prlimit(self._process.pid, limit)[0]
            return None if soft == resource.RLIM_INFINITY else soft
        return None

    def log_tail(self) -> str:
        """The last line of the child's log, as a suffix of an error message, or an empty string."""
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read()[-4000:].decode(errors="replace").strip().splitlines()
            if lines:
                return f"; last line of its output: {lines[-1][:300]}"
        return ""


class _Wait:
    """Conditions of a wait for the child: its deadline, and that all of its processes are alive."""

    def __init__(self, child: LavaProcess, deadline_s: float, doing: str) -> None:
        self._child, self._deadline_s, self._doing = child, deadline_s, doing
        self._end = time.monotonic() + deadline_s

    def check(self) -> None:
        """Raises if a process has ended or the deadline has passed."""
        self._child.check(self._doing)
        if time.monotonic() > self._end:
            raise SubstrateFailed(
                f"lava: no answer in {self._deadline_s:g} s while {self._doing}; the simulation was ended. "
                f"Give open_target a larger deadline_s if the network is large{self._child.memory_limits()}"
            )


def _unpacked(payload: bytes, offset: int, shapes: list[list[int]], dtype: Any) -> tuple[list[IntArray], int]:
    """The arrays of these shapes that start at `offset`, and their end offset."""
    arrays: list[IntArray] = []
    for shape in shapes:
        arrays.append(np.frombuffer(payload, dtype, math.prod(shape), offset).reshape(shape))
        offset += arrays[-1].nbytes
    return arrays, offset


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe of the child, which Popen always creates here."""
    if pipe is None:
        raise SubstrateFailed("lava: the child has no pipe")
    return pipe


def _is_running(process: psutil.Process) -> bool:
    """Whether this process is running: not a zombie, and not a new process with the same id."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _running_members(group: int) -> list[int]:
    """Ids of the running processes of a group, without zombies."""
    pids_running = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                pids_running.append(pid)
    return pids_running


POLL_S = 0.1
"""Interval in seconds at which a wait checks its conditions."""


def send(pipe: IO[bytes], data: bytes, check: Callable[[], None]) -> None:
    """Writes all of `data` without blocking on a child that does not read.

    check: called while the pipe is full; raises to end the wait.
    """
    descriptor = pipe.fileno()
    os.set_blocking(descriptor, False)
    view = memoryview(data)
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_WRITE)
        while view:
            if selector.select(POLL_S):
                view = view[os.write(descriptor, view) :]
            else:
                check()


def receive(pipe: IO[bytes], count: int, check: Callable[[], None]) -> bytes:
    """Reads `count` bytes, fewer at the end of the stream.

    check: called while no data arrives; raises to end the wait.
    """
    descriptor = pipe.fileno()
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while count > 0:
            if not selector.select(POLL_S):
                check()
                continue
            part = os.read(descriptor, min(count, 2**20))
            if not part:
                break
            parts.append(part)
            count -= len(part)
    return b"".join(parts)
