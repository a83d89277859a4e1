"""Stops a black-box attack on Ctrl-C and keeps its result so far."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bl_neuro.attacks import StopAttack
from bl_neuro.attacks.base import Progress


@contextmanager
def ends_on_interrupt(progress: Progress) -> Iterator[Progress]:
    """Wraps `progress` so that Ctrl-C stops a black-box attack after the current generation.

    A second Ctrl-C ends the program.
    """
    stopping = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            raise KeyboardInterrupt
        stopping = True
        sys.stderr.write("Ends after this generation, and keeps what it has; press Ctrl-C again to drop it.\n")

    def watched(done: int, total: int) -> None:
        progress(done, total)
        if stopping:
            raise StopAttack

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield watched
    finally:
        signal.signal(signal.SIGINT, before)
