"""Stands in for the child that holds a Lava network: the same frames, processes and shared memory, but no Lava.

FAKE_CHILD says how it behaves, one word for each start, the last for all further ones: see `_run`. It echoes what it
is sent, or, for a real .net file, is silent in the shape of its output.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["FAKE_CHILD_PATH"])
import child  # type: ignore[import-not-found]


def _mode() -> str:
    """This start's word; the file FAKE_CHILD_STARTS grows by one byte a start."""
    starts = Path(os.environ["FAKE_CHILD_STARTS"])
    with starts.open("a") as file:
        file.write(".")
    words = os.environ.get("FAKE_CHILD", "answers").split(",")
    return words[min(starts.stat().st_size, len(words)) - 1]


def _actor() -> int:
    """A process of the simulation, which holds the pipes open as Lava's do."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid


def _output(opened: dict[str, Any], payload: bytes) -> tuple[list[list[int]], bytes]:
    if not Path(opened["net"]).is_file():
        return [[len(payload)]], payload
    import h5py

    steps, samples = opened["steps"], opened["samples"]
    with h5py.File(opened["net"]) as file:
        last = file[f"layer/{len(file['layer']) - 1}/shape"][()].tolist()
    return [[steps, *last, samples]], bytes(steps * int(last[0]) * samples)


def _run(mode: str, actors: list[int], answer: Any) -> None:
    """Applies the failure of the mode, if any, when a run is requested."""
    if mode == "hangs":
        time.sleep(600)
    elif mode == "dies":
        print("libchip: burnt", file=sys.stderr, flush=True)
        os._exit(3)  # its actors live on, and hold the pipes
    elif mode == "loses-an-actor":
        os.kill(actors[0], signal.SIGKILL)  # and is not reaped: a zombie
        time.sleep(600)
    elif mode == "half":
        answer(b"\0\0\0\x40{")
        time.sleep(600)
    elif mode == "babbles":
        answer(b"\xff" * 64)
        time.sleep(600)
    elif mode == "fails":
        answer(child.encode_frame({"error": "ValueError: no chip", "trace": ""}))
        time.sleep(600)


def main() -> None:
    """Serves frames as the real child does."""
    life, parent, prefix, folder = sys.argv[1:]
    child.start_guard(int(life), int(parent), (prefix, folder))
    child.name_resources(prefix, folder)
    mode = _mode()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(frame: bytes) -> None:
        answers.write(frame)
        answers.flush()

    opened: dict[str, Any] = {}
    actors: list[int] = []
    if mode == "deaf":
        time.sleep(600)
    while True:
        try:
            header, payload = child.read_frame(sys.stdin.buffer.read)
        except EOFError:
            os._exit(1)
        if header["op"] == "open":
            opened = header
            shared_memory.SharedMemory(create=True, size=64)
            actors = [_actor(), _actor()]
            answer(child.encode_frame({"actors": actors}))
        elif header["op"] == "run":
            _run(mode, actors, answer)
            shapes, spikes = _output(opened, payload)
            answer(child.encode_frame({"shapes": shapes, "graded": False, "states": []}, spikes))
        elif mode == "stubborn":
            time.sleep(600)
        else:
            break
    os._exit(0)  # its actors and its shared memory are for the supervisor to find


if __name__ == "__main__":
    main()
