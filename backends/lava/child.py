"""The child process that holds one Lava network. Run by path; needs only NumPy and Lava, not bl_neuro.

It reads frames from standard input and answers on the original standard output (Lava's own output is redirected to
standard error). A frame is 4 bytes of header length (big endian), the header as JSON, and `bytes` bytes of payload:

    {"op": "open", "net": path, "steps": T, "layers": bool, "sparse": bool, "start": "aligned" or "cold",
     "prefix": shared-memory name prefix, "folder": temporary files, "parent": process id of the supervisor}
                                                    ->  {"actors": process ids of the simulation}
    {"op": "run", "states": bool} + one sample, (T, *lava input shape), uint8 spikes or int32 currents
                                                    ->  {"shapes": [...], "states": [...]} + one uint8 array
                                                        (T, *shape) per recorded layer, the output last; if requested, u
                                                        and v of every layer after its last step, int32
    {"op": "close"}

Lava is imported before the first frame is read, so that a child can wait as a spare and then start immediately. Samples
are streamed through the running network, whose state is reset for each of them: see `simulation`.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import json
import os
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

MAX_HEADER = 2**20


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


def watch_parent(parent: int, names: tuple[str, str]) -> None:
    """Starts a thread that ends all processes once the parent is gone, even during a query."""
    threading.Thread(target=_end_with_parent, args=(parent, names), daemon=True).start()


def _end_with_parent(parent: int, names: tuple[str, str]) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    end_without_parent(names)


def end_without_parent(names: tuple[str, str] | None) -> NoReturn:
    """Ends the process group and removes its named resources, which a killed parent cannot do."""
    group = os.getpgrp()
    with contextlib.suppress(OSError):
        while os.fork():
            signal.pause()  # until the forked process kills this one
        os.setsid()  # outside of the group, so that it outlives the group and can remove its resources
    try:
        _kill_group(group)
        if names is not None:
            remove_shared_memory(names[0])
            shutil.rmtree(names[1], ignore_errors=True)
    finally:
        os._exit(0)


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


def _start_failed() -> None:
    sys.stderr.write("a process of the simulation was killed while it was starting\n")
    sys.stderr.flush()
    os._exit(1)


def _run(simulation: Any, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    sample = np.frombuffer(payload, simulation.input_dtype).reshape(simulation.steps, *simulation.inputs.shape)
    spikes, states = simulation.run(sample, header["states"])
    shapes = {"shapes": [array.shape for array in spikes], "states": [array.shape for array in states]}
    return shapes, b"".join(array.tobytes() for array in (*spikes, *states))


def main() -> None:
    """Answers frames until a close request, or until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Lava's own output must not get into the answers
    with contextlib.suppress(Exception):  # the error is reported when a simulation is opened
        _simulation_module().prepare()
    simulation: Any = None
    names: tuple[str, str] | None = None

    def answer(header: dict[str, Any], payload: bytes = b"") -> None:
        try:
            answers.write(encode_frame(header, payload))
            answers.flush()
        except OSError:
            end_without_parent(names)

    while True:
        try:
            header, payload = read_frame(sys.stdin.buffer.read)
        except EOFError:
            end_without_parent(names)
        try:
            if header["op"] == "open":
                names = header["prefix"], header["folder"]
                name_resources(*names)
                watch_parent(header["parent"], names)
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
