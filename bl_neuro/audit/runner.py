"""Runs the cells of a plan that are not done, each after what it needs, in processes of their own.

However a run ends, what was finished is kept, and another run does the rest, with the same results: a cell depends on
nothing but its definition, and every one has as many threads. A cell that fails is put down with its error, and the
others go on; the next run tries it again. A worker that dies is replaced, and its cell tried once more.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bl_neuro.audit.plan import THREADS, Cell
from bl_neuro.audit.store import Result, Store
from bl_neuro.audit.worker_process import WorkerDied, WorkerProcess
from bl_neuro.errors import InputError, ReportError, SubstrateFailed

ATTEMPTS = 2
"""Times that a cell is given to a worker, where the first one died of it."""
WORKER = (sys.executable, "-m", "bl_neuro.audit.worker")


@dataclass(frozen=True)
class Failure:
    """A cell that came to nothing, and why."""

    cell: Cell
    error: str


@dataclass
class Standing:
    """Where a run is. waiting: cells to do, in order. done, failed: of this run. left_out: what failed cells leave out.

    torn: results that were there and did not hold; they are made anew.
    """

    waiting: list[Cell]
    finished: set[str]
    done: list[Cell] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    left_out: list[Cell] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)


Told = Callable[[Standing], None]


def standing(cells: Sequence[Cell], store: Store) -> Standing:
    """What of `cells` is done in `store`, and what is not."""
    found = Standing([], set())
    for cell in cells:
        kept = store.check(cell.address)
        if isinstance(kept, str):
            found.torn.append(kept)
        if isinstance(kept, Result):
            found.finished.add(cell.address)
        else:
            found.waiting.append(cell)
    return found


class Runner:
    """Runs `cells` into `store` with `jobs` workers.

    task: what a worker is told first, see `bl_neuro.audit.worker`. told: called after each cell. worker: the command
    of a worker.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        store: Store,
        task: dict[str, Any],
        jobs: int = 1,
        told: Told | None = None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        if jobs < 1:
            raise InputError(f"jobs: expected at least 1, found {jobs}")
        self.cells, self.store, self.task, self.jobs = cells, store, task, jobs
        self.told = told or (lambda _: None)
        self.command = worker
        self.attempts: dict[str, int] = {}

    def run(self) -> Standing:
        """Runs what is not done. The store must be locked.

        Raises:
            ReportError: nothing can be kept any more. SubstrateFailed: workers do not start. KeyboardInterrupt,
            SystemExit: Ctrl-C, SIGTERM.
        """
        self.state = standing(self.cells, self.store)
        self.told(self.state)
        self.workers: dict[int, WorkerProcess] = {}
        with selectors.DefaultSelector() as self.selector, _ends_on_sigterm():
            try:
                self._fill()
                while self.workers:
                    for key, _ in self.selector.select():
                        self._hear(self.workers[key.fd])
                    self._fill()
            finally:
                for worker in self.workers.values():
                    worker.end()
        self.state.left_out += self.state.waiting
        self.state.waiting = []
        return self.state

    def _fill(self) -> None:
        """Gives work to every worker that has none; starts and ends workers as there is work."""
        for worker in [each for each in self.workers.values() if each.ready and each.cell is None]:
            cell = self._next()
            if cell is not None:
                self._give(worker, cell)
        while len(self.workers) < self.jobs and self._unclaimed() > 0:
            worker = WorkerProcess(self.command, self.task, _environment())
            self.workers[worker.fd] = worker
            self.selector.register(worker.fd, selectors.EVENT_READ)
        if all(worker.ready and worker.cell is None for worker in self.workers.values()):
            for worker in list(self.workers.values()):
                self._drop(worker)

    def _unclaimed(self) -> int:
        """How many cells could be done now, beyond those that workers who are starting will take."""
        starting = sum(1 for worker in self.workers.values() if not worker.ready)
        return sum(1 for cell in self.state.waiting if self._may(cell)) - starting

    def _may(self, cell: Cell) -> bool:
        return all(need.address in self.state.finished for need in cell.needs)

    def _next(self) -> Cell | None:
        for number, cell in enumerate(self.state.waiting):
            if self._may(cell):
                return self.state.waiting.pop(number)
        return None

    def _give(self, worker: WorkerProcess, cell: Cell) -> None:
        self.attempts[cell.address] = self.attempts.get(cell.address, 0) + 1
        worker.give(cell)

    def _hear(self, worker: WorkerProcess) -> None:
        """What a worker says of its cell, or its end."""
        cell = worker.cell
        try:
            said = worker.hear()
        except WorkerDied as death:
            self._drop(worker)
            if cell is None:
                raise SubstrateFailed(f"a worker did not start: {death}") from death
            if self.attempts[cell.address] < ATTEMPTS:
                self.state.waiting.insert(0, cell)
            else:
                self._fail(cell, {"failed": f"its worker died, {ATTEMPTS} times: {death}"})
            return
        if "unwritable" in said:
            raise ReportError(said["unwritable"])
        if cell is None:
            return
        if "failed" in said:
            self._fail(cell, said)
        else:
            self.state.finished.add(cell.address)
            self.state.done.append(cell)
        self.told(self.state)

    def _fail(self, cell: Cell, said: dict[str, Any]) -> None:
        self.store.write_failure(cell.definition, said)
        self.state.failed.append(Failure(cell, said["failed"]))

    def _drop(self, worker: WorkerProcess) -> None:
        self.selector.unregister(worker.fd)
        del self.workers[worker.fd]
        worker.end()


def _environment() -> dict[str, str]:
    """A worker's: libraries read how many threads they may have when they are loaded."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(counts, str(THREADS))}


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an error does, so that workers are ended too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
