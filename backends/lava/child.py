"""The child process that holds one real Lava network. Run by path; needs only NumPy and Lava, not bl_neuro.

It reads frames from standard input and answers on what was standard output (anything Lava prints goes to standard
error). A frame is 4 bytes of header length (big endian), the header as JSON, and `bytes` raw bytes of payload:

    {"op": "open", "net": path, "steps": T, "layers": bool, "sparse": bool, "start": "aligned" or "cold",
     "prefix": shared-memory name prefix, "folder": temporary files, "parent": process id of the supervisor}
                                                    ->  {"actors": process ids of the simulation}
    {"op": "run", "states": bool} + one sample, (T, *lava input shape), uint8 spikes or int32 currents
                                                    ->  {"shapes": [...], "states": [...]} + one uint8 array
                                                        (T, *shape) a recorded layer, the output last; u and v of every
                                                        layer after its answer to the last step, int32, if asked for
    {"op": "close"}

Lava is imported before the first frame is read, so that a child may wait as a spare and then start in an instant.
Samples are streamed through the one running network, which is made as new for each: see `simulation`.
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
    """One frame, ready to be sent."""
    encoded = json.dumps({**header, "bytes": len(payload)}).encode()
    return struct.pack(">I", len(encoded)) + encoded + payload


def read_frame(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """Receives one frame through `read(count)`. EOFError where the other side is gone or talks another language."""

    def exactly(count: int) -> bytes:
        data = read(count)
        if len(data) < count:
            raise EOFError("the other side closed the pipe")
        return data

    (length,) = struct.unpack(">I", exactly(4))
    if length > MAX_HEADER:
        raise EOFError("not a frame")
    header = json.loads(exactly(length))
    return header, exactly(header["bytes"])


def name_what_is_left(prefix: str, folder: str) -> None:
    """Names what this process group may leave: shared memory and semaphores by `prefix`, sockets inside `folder`.

    So that the supervisor can remove what a killed simulation leaves, and nothing else.
    """
    from multiprocessing import process, shared_memory

    # private names of the standard library, the same from 3.8 to 3.13; without them names are random
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 13  # type: ignore[attr-defined]
    process.current_process()._config.update(semprefix=f"/{prefix}sem", tempdir=folder)  # type: ignore[attr-defined]


def remove_shared_memory(prefix: str) -> None:
    """Removes the segments and semaphores that were made under `prefix`."""
    for pattern in (f"/dev/shm/{glob.escape(prefix)}*", f"/dev/shm/sem.{glob.escape(prefix)}*"):
        for path in glob.glob(pattern):
            with contextlib.suppress(OSError):
                os.unlink(path)


def watch_parent(parent: int, names: tuple[str, str]) -> None:
    """Has a thread end everything once the parent is gone, also in the middle of a query."""
    threading.Thread(target=_end_with_parent, args=(parent, names), daemon=True).start()


def _end_with_parent(parent: int, names: tuple[str, str]) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    end_without_parent(names)


def end_without_parent(names: tuple[str, str] | None) -> NoReturn:
    """Ends the whole group and removes what it leaves under these names, as a parent that was killed cannot."""
    group = os.getpgrp()
    with contextlib.suppress(OSError):
        while os.fork():
            signal.pause()  # until the other one kills this one too
        os.setsid()  # outside of the group it outlives it: what it removes stays removed
    try:
        _kill_group(group)
        if names is not None:
            remove_shared_memory(names[0])
            shutil.rmtree(names[1], ignore_errors=True)
    finally:
        os._exit(0)


def _kill_group(group: int, patience_s: float = 5.0) -> None:
    """Kills a process group and waits until it is gone, or until only zombies that nobody reaps can be left."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            return
        time.sleep(0.01)


def _simulation_module() -> Any:
    """The module beside this one, which needs Lava: by its file's name, as this one is run by path."""
    return importlib.import_module("simulation")


def _start_failed() -> None:
    sys.stderr.write("a process of the simulation was killed while it was starting\n")
    sys.stderr.flush()
    os._exit(1)


def _run(simulation: Any, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    sample = np.frombuffer(payload, simulation.input_dtype).reshape(simulation.steps, *simulation.inputs.shape)
    spikes, states = simulation.run(sample, header["states"])
    shapes = {"shapes": [each.shape for each in spikes], "states": [each.shape for each in states]}
    return shapes, b"".join(each.tobytes() for each in (*spikes, *states))


def main() -> None:
    """Serves frames until told to close, or until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever Lava prints must not get into the answers
    with contextlib.suppress(Exception):  # it is told when a simulation is asked for
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
                name_what_is_left(*names)
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
        except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor is told and this process ends
            answer({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
            break
    if simulation is not None:
        simulation.network.stop()
    os._exit(0)  # the interpreter would take seconds to tear down what Lava imported


if __name__ == "__main__":
    main()
