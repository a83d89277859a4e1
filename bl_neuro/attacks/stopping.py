"""When a search ends before its plan does: when it is told to, when it no longer gains, and when it cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Progress
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.errors import BlNeuroError

LEAST_GAIN = 0.01
"""A rise of what was attained, averaged over the classes, that counts as a gain."""
MEMORY = 0.7
"""How much of the average of what was attained stays from one generation to the next."""


class StopAttack(Exception):
    """Raised by a `progress` callback to end a search of queries or a transfer: what it found is returned.

    Its status is `stopped` then. A white-box attack has no such end: the exception comes out of its call, and nothing
    is returned. No `BlNeuroError`, since nothing went wrong: what handles errors should not take it for one.
    """


@contextmanager
def keeping(found: Callable[[], Inversions]) -> Iterator[None]:
    """An error that ends a search, as of an endpoint that went away, takes along what was `found` until then."""
    try:
        yield
    except BlNeuroError as error:
        error.found = found()
        raise


class Stopping:
    """Whether a search of so many `stages` goes on. patience: generations without a gain, or None for all of them."""

    def __init__(self, progress: Progress, stages: int, patience: int | None) -> None:
        self._progress, self._stages, self._patience = progress, stages, patience
        self._mean: float | None = None
        self._best = -float("inf")
        self._since = 0
        self.status: Status | None = None
        """How the search ended early; None while it goes on."""

    def after(self, stage: int, attained: FloatArray | None = None) -> bool:
        """Tells of a stage that is done and what each class (K,) attained in it. Returns whether the search goes on."""
        try:
            self._progress(stage, self._stages)
        except StopAttack:
            self.status = Status.STOPPED
        if attained is not None and self._patience is not None and self.status is None and self._stalls(attained):
            self.status = Status.NO_GAIN
        return self.status is None

    def _stalls(self, attained: FloatArray) -> bool:
        now = float(attained.mean())
        self._mean = now if self._mean is None else MEMORY * self._mean + (1 - MEMORY) * now
        if self._mean > self._best + LEAST_GAIN:
            self._best, self._since = self._mean, 0
        else:
            self._since += 1
        return self._since >= (self._patience or 0)
