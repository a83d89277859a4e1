"""The child process that holds one Lava network. Run by path; needs only NumPy and Lava, not bl_neuro.

It reads frames from standard input and answers on the original standard output (Lava's own output is redirected to
standard error). A frame is 4 bytes of header length (big endian), the header as JSON, and `bytes` bytes of payload:

    {"op": "open", "net": path, "steps": T, "layers": bool, "samples": B, "start": "aligned" or "cold",
     "units": indices of blocks}                    ->  {"actors": process ids of the simulation}
    {"op": "run", "states": bool} + one sample, (T, *lava input shape), uint8 spikes or int32 currents
                                                    ->  {"shapes": [...], "graded": bool, "states": [[...], ...]} + one
                                                        array (T, *shape) per recorded layer, the output last, of uint8
                                                        spikes or int32 graded messages; if requested, the states of
                                                        every layer after its last step, int32
    {"op": "close"}

Its arguments are the descriptor of a socket to the supervisor, the supervisor's process id, the prefix of names in
shared memory and the folder of temporary files: see `start_guard`. Lava is imported before the first frame is read, so
that a child can wait as a spare and then start immediately. Samples are streamed through the running network, whose
state is reset for each of them: see `simulation`.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import json
import os
import select
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

MAX_HEADER = 2**20
GUARD_CHECK_S = 0.5
"""Interval in seconds at which the guard checks that the supervisor is running."""


def encode_frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One encoded frame."""
    encoded = json.dumps({**header, "bytes": len(payload)}).encode()
    return struct.pack(">I", len(encoded)) + encoded + payload


def read_frame(receive: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """Receives one frame through `receive(count)`. EOFError if the other side is gone or sends no valid frame."""

    def exactly(count: int) -> bytes:
        data = receive(count)
        if len(data) < count:
            raise EOFError("the other side closed the pipe")
        return data

    (length,) = struct.unpack(">I", exactly(4))
    if length > MAX_HEADER:
        raise EOFError("not a frame")
    header = json.loads(exactly(length))
    return header, exactly(header["bytes"])


def name_resources(prefix: str, folder: str) -> None:
    """Gives shared memory and semaphores of this process group names with `prefix`, and puts sockets into `folder`.

    The supervisor can then remove exactly the resources that a killed simulation leaves.
    """
    from multiprocessing import process, shared_memory

    # private names of the standard library, unchanged from 3.8 to 3.13; without them the names are random
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 13  # type: ignore[attr-defined]
    process.current_process()._config.update(semprefix=f"/{prefix}sem", tempdir=folder)  # type: ignore[attr-defined]


def remove_shared_memory(prefix: str) -> None:
    """Removes the shared-memory segments and semaphores whose names start with `prefix`."""
    for pattern in (f"/dev/shm/{glob.escape(prefix)}*", f"/dev/shm/sem.{glob.escape(prefix)}*"):
        for path in glob.glob(pattern):
            with contextlib.suppress(OSError):
                os.unlink(path)


def start_guard(life: int, parent: int, names: tuple[str, str]) -> None:
    """Starts a process that ends this process group, and removes its named resources, once `parent` is gone.

    It works while this process is stopped, or has no memory: it is in another session, and has nothing to allocate.

    life: descriptor of the socket to the supervisor; the guard keeps it, writes its process id to it and ends without
        any action when it receives a byte.
    """
    group = os.getpgrp()
    pid = os.fork()
    if pid > 0:
        os.close(life)
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:  # a child of the first process of the system, so that this process never waits for it
            _guard(life, parent, group, names)
    finally:
        os._exit(0)


def _guard(life: int, parent: int, group: int, names: tuple[str, str]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)  # the pipes end with the simulation, not with this process
    os.write(life, str(os.getpid()).encode())
    while True:
        parent_is_gone = _parent_of(group) != parent
        readable = select.select([life], [], [], 0.0 if parent_is_gone else GUARD_CHECK_S)[0]
        if readable and _received(life):  # sent before the supervisor reaps the leader of the group
            return
        if readable or parent_is_gone:
            break
    _kill_group(group)
    remove_shared_memory(names[0])
    shutil.rmtree(names[1], ignore_errors=True)


def _received(life: int) -> bytes:
    """The next byte, or nothing if the other end is closed."""
    try:
        return os.read(life, 1)
    except ConnectionError:  # closed before the process id was read
        return b""


def _parent_of(pid: int) -> int | None:
    """The id of the parent of a process, or None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _kill_group(group: int, patience_s: float = 5.0) -> None:
    """Kills a process group and waits until it is gone, or until the time limit, since zombies may remain."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            return
        time.sleep(0.01)


def _simulation_module() -> Any:
    """The module `simulation` in this folder, which needs Lava; a plain import, since this file is run by path."""
    return importlib.import_module("simulation")


def _start_failed(exit_code: int | None) -> None:
    how = f" by {signal.Signals(-exit_code).name}" if exit_code is not None and exit_code < 0 else ""
    advice = ", which means that /dev/shm is full" if how == " by SIGBUS" else ""
    sys.stderr.write(f"a process of the simulation was ended{how} while it was starting{advice}\n")
    sys.stderr.flush()
    os._exit(1)


def _run(simulation: Any, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    sample = np.frombuffer(payload, simulation.input_dtype).reshape(simulation.steps, *simulation.inputs.shape)
    spikes, states = simulation.run(sample, header["states"])
    shapes = {
        "shapes": [array.shape for array in spikes],
        "graded": simulation.graded,
        "states": [[array.shape for array in layer] for layer in states],
    }
    return shapes, b"".join(array.tobytes() for array in (*spikes, *(array for layer in states for array in layer)))


def main() -> None:
    """Answers frames until a close request, or until the parent is gone."""
    life, parent, prefix, folder = sys.argv[1:]
    start_guard(int(life), int(parent), (prefix, folder))
    name_resources(prefix, folder)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Lava's own output must not get into the answers
    with contextlib.suppress(Exception):  # the error is reported when a simulation is opened
        _simulation_module().prepare()
    simulation: Any = None

    def answer(header: dict[str, Any], payload: bytes = b"") -> None:
        try:
            answers.write(encode_frame(header, payload))
            answers.flush()
        except OSError:
            os._exit(1)  # the supervisor is gone

    while True:
        try:
            header, payload = read_frame(sys.stdin.buffer.read)
        except EOFError:
            os._exit(1)
        try:
            if header["op"] == "open":
                simulation, actors = _simulation_module().opened(header, _start_failed)
                answer({"actors": actors})
            elif header["op"] == "run" and simulation is not None:
                answer(*_run(simulation, header, payload))
            else:
                break
        except (EOFError, ConnectionError):  # Lava's shared-memory manager is gone
            traceback.print_exc()
            os._exit(1)
        except BaseException as error:  # noqa: BLE001 - any error is reported to the supervisor and ends this process
            answer({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
            break
    if simulation is not None:
        simulation.network.stop()
    os._exit(0)  # a normal exit would take seconds to unload Lava's imports


if __name__ == "__main__":
    main()
