"""Stops a black-box attack on Ctrl-C and keeps its result so far."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bl_neuro.attacks import StopAttack
from bl_neuro.attacks.base import Progress


class InterruptibleProgress:
    """Wraps `progress` so that Ctrl-C stops a black-box attack after the current generation.

    A second Ctrl-C ends the program. stopping: whether Ctrl-C was pressed.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.stopping = False

    def __call__(self, done: int, total: int) -> None:
        """Reports progress, and raises StopAttack after Ctrl-C."""
        self._progress(done, total)
        if self.stopping:
            raise StopAttack

    @contextmanager
    def handling_interrupts(self) -> Iterator[None]:
        """Handles Ctrl-C in the block."""
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True
        sys.stderr.write("Ends after this generation, and keeps what it has; press Ctrl-C again to drop it.\n")
