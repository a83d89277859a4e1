"""Ctrl-C ends a search, and what it found is kept."""

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
    """`progress` that ends the search after the generation that Ctrl-C fell in, a transfer after the candidate.

    A second Ctrl-C ends everything.
    """
    told = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told:
            raise KeyboardInterrupt
        told = True
        sys.stderr.write("Ends after this generation, and keeps what was found; press Ctrl-C again to drop it.\n")

    def watched(done: int, total: int) -> None:
        progress(done, total)
        if told:
            raise StopAttack

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield watched
    finally:
        signal.signal(signal.SIGINT, before)
