"""Ctrl-C, or the interrupt of a Jupyter kernel, at moments when another library does not withstand it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class HeldInterrupts:
    """Holds Ctrl-C back until `check`, so that it is not raised within a callback of a library, which would print it.

    A second Ctrl-C is raised at once. Has no effect outside the main thread, or where Ctrl-C is ignored. wake: is
    called on Ctrl-C, to end a wait.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake, self._pending = wake, False
        before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        self._before = before if main and callable(before) else None
        if self._before is not None:
            signal.signal(signal.SIGINT, self._note)

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self._pending:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Restores the earlier handler."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pending:
            raise KeyboardInterrupt
        self._pending = True
        self._wake()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds the first Ctrl-C back until the end of the block; a second one is raised at once.

    For what an interrupt would leave half done: running workers, and imports, since Python cannot import torch or
    pandas again after an interrupted import, so that a notebook would need a new kernel.
    """
    held = HeldInterrupts(lambda: None)
    try:
        yield
    finally:
        held.end()
        held.check()


@contextmanager
def children_without_interrupts() -> Iterator[None]:
    """Threads and processes that start in the block never receive Ctrl-C, nor do the processes that they start."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # here, since importing it takes as long as all of bl_neuro's errors

    resource_tracker.ensure_running()  # it would end the block when the first process starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
