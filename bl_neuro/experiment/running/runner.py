"""Runs the cells of a plan on a pool of workers, on this or other machines."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bl_neuro.errors import ReportError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.jobs import Job, jobs_of
from bl_neuro.experiment.store import Result, Store

Outcome = dict[str, Any]
"""How a cell ended: {} done, perhaps with "copied" and "warnings" (see `shared_work.Done`), {"failed": why},
{"died": how} where its worker ended before the cell did, or {"unwritable": why} where no result can be written."""


class WorkerPool(Protocol):
    """Runs any number of jobs at once and reports the outcome of each cell."""

    def start(self, ready: Sequence[Job]) -> list[Job]:
        """Starts as many `ready` jobs as there are free workers, in order. Returns the started ones."""

    def wait(self) -> list[tuple[Cell, Outcome]]:
        """Waits until a worker reports. Returns the cells that ended, possibly none.

        Raises:
            SubstrateFailed: no worker can start, or all are unreachable.
        """

    @property
    def busy(self) -> bool:
        """Whether a cell is running."""

    @property
    def capacity(self) -> int:
        """Number of jobs that can run at once, at least 1."""

    def close(self) -> None:
        """Ends all workers, including busy ones."""


ATTEMPTS = 2
"""Maximum number of times that a cell is started if its worker dies."""


@dataclass(frozen=True)
class Failure:
    """A cell that failed, and why."""

    cell: Cell
    error: str


@dataclass
class RunState:
    """The progress of a run.

    waiting: cells that are left to run, in order. finished: addresses of all results, including earlier runs. done,
    failed: cells of this run. left_out: cells that depend on a failed cell. torn: damaged results that are computed
    again. copied: number of cells of this run whose results came from the cache that runs share. warnings: of the
    cache, each once. capacity: number of jobs that can run at once.
    """

    waiting: list[Cell]
    finished: set[str]
    done: list[Cell] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    left_out: list[Cell] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    copied: int = 0
    warnings: list[str] = field(default_factory=list)
    capacity: int = 1


OnChange = Callable[[RunState], None]
"""Called when a run starts and after every cell."""


def run_state(cells: Sequence[Cell], store: Store) -> RunState:
    """Which of `cells` have a result in `store`, and which are waiting."""
    state = RunState([], set())
    for cell in cells:
        store.need_free_names(cell.address)
        result = store.check(cell.address)
        if isinstance(result, str):
            state.torn.append(result)
        if isinstance(result, Result):
            state.finished.add(cell.address)
        else:
            state.waiting.append(cell)
    return state


class Runner:
    """Runs `cells` with the results in `store` on `pool`, and closes the pool. on_change: called after each cell."""

    def __init__(
        self, cells: Sequence[Cell], store: Store, pool: WorkerPool, on_change: OnChange | None = None
    ) -> None:
        self.cells, self.store, self.pool = cells, store, pool
        self.on_change = on_change or (lambda _: None)
        self.attempts: dict[str, int] = {}
        self.jobs: list[Job] = []

    def run(self) -> RunState:
        """Runs the cells that have no result. The store must be locked.

        Raises:
            ReportError: results cannot be written any more. SubstrateFailed: workers do not start, or are unreachable.
                KeyboardInterrupt, SystemExit: Ctrl-C, SIGTERM.
        """
        with _ends_on_sigterm():
            try:
                self.state = run_state(self.cells, self.store)
                self.jobs = jobs_of(self.state.waiting, self.pool.capacity)
                self._report()
                self._start()
                while self.pool.busy:
                    for cell, outcome in self.pool.wait():
                        self._settle(cell, outcome)
                    self._start()
            finally:
                self.pool.close()
        self.state.left_out += self.state.waiting
        self.state.waiting = []
        return self.state

    def _start(self) -> None:
        """Offers all jobs to the pool whose dependencies are done."""
        finished = self.state.finished
        ready = [job for job in self.jobs if all(need.address in finished for cell in job for need in cell.needs)]
        for job in self.pool.start(ready):
            self.jobs.remove(job)
            for cell in job:
                self.state.waiting.remove(cell)
                self.attempts[cell.address] = self.attempts.get(cell.address, 0) + 1

    def _settle(self, cell: Cell, outcome: Outcome) -> None:
        """Records the outcome of a cell."""
        if "unwritable" in outcome:
            raise ReportError(outcome["unwritable"])
        if "died" in outcome and isinstance(self.store.check(cell.address), Result):
            outcome = {}  # the worker died after it had written the result
        if "died" in outcome and self.attempts[cell.address] < ATTEMPTS:
            self.state.waiting.insert(0, cell)
            self.jobs.insert(0, (cell,))  # alone, so that it ends no other cell again
            return
        if "died" in outcome:
            outcome = {"failed": f"its worker died, {ATTEMPTS} times: {outcome['died']}"}
        if "failed" in outcome:
            self.store.write_failure(cell.definition, outcome)
            self.state.failed.append(Failure(cell, outcome["failed"]))
        else:
            self.state.finished.add(cell.address)
            self.state.done.append(cell)
            self.state.copied += bool(outcome.get("copied"))
        self._warn(outcome.get("warnings", []))
        self._report()

    def _warn(self, texts: Iterable[str]) -> None:
        """Shows the warnings of a worker that no worker had before."""
        for text in texts:
            if text not in self.state.warnings:
                self.state.warnings.append(text)
                warnings.warn(text, stacklevel=2)

    def _report(self) -> None:
        self.state.capacity = self.pool.capacity
        self.on_change(self.state)


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Raises an exception on SIGTERM, so that workers are ended."""
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
