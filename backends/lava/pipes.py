"""Writing to and reading from a child's pipes without ever being blocked by it."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import IO

POLL_S = 0.1
"""How often a wait looks whether there is still something to wait for, in seconds."""


def send(pipe: IO[bytes], data: bytes, check: Callable[[], None]) -> None:
    """Writes all of `data`; a child that reads no more, or one whose pipe others hold open, cannot block us.

    check: called while nothing moves; raises where there is nothing left to wait for.
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
    """Reads `count` bytes, fewer at the end of the stream. The simulation's processes hold the pipe open too."""
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
