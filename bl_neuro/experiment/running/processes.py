"""A crew of worker processes on this machine."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Any

from bl_neuro.errors import InputError, SubstrateFailed
from bl_neuro.experiment.planning.planned_cell import THREADS, Cell
from bl_neuro.experiment.running.crew import Said
from bl_neuro.experiment.running.worker_process import STARTS, WORKER, WorkerDied, WorkerProcess


class Processes:
    """Up to `jobs` workers, started as there is work. A `Crew`.

    task: what a worker is told first, see `bl_neuro.experiment.running.worker`. command: that of a worker.
    """

    def __init__(self, task: dict[str, Any], jobs: int = 1, command: Sequence[str] = WORKER) -> None:
        if jobs < 1:
            raise InputError(f"jobs: expected at least 1, found {jobs}")
        self.task, self.width, self.command = task, jobs, command
        self._workers: dict[int, WorkerProcess] = {}
        self._cells: dict[int, Cell] = {}
        self._false_starts = 0
        self._selector = selectors.DefaultSelector()

    @property
    def at_work(self) -> bool:
        """Whether a worker is at a cell, or starting."""
        return bool(self._cells) or self._starting > 0

    @property
    def _starting(self) -> int:
        return sum(1 for worker in self._workers.values() if not worker.ready)

    def take(self, ready: Sequence[Cell]) -> list[Cell]:
        """Gives work to every worker that has none; starts workers where there is more, ends them where all is done."""
        left, taken = list(ready), []
        for fd, worker in self._workers.items():
            if left and worker.ready and fd not in self._cells:
                cell = left.pop(0)
                self._cells[fd] = cell
                worker.give(cell.address)
                taken.append(cell)
        while len(self._workers) < self.width and len(left) > self._starting:
            worker = WorkerProcess(self.command, self.task, thread_counts())
            self._workers[worker.fd] = worker
            self._selector.register(worker.fd, selectors.EVENT_READ)
        if not self.at_work:
            self._drop_all()
        return taken

    def hear(self) -> list[tuple[Cell, Said]]:
        """What the next workers to answer, or to die, say of their cells."""
        heard = []
        for key, _ in self._selector.select():
            worker, cell = self._workers[key.fd], self._cells.pop(key.fd, None)
            try:
                said = worker.hear()
                self._false_starts = 0
            except WorkerDied as death:
                self._drop(key.fd)
                self._false_starts += not worker.ready
                if self._false_starts == STARTS:
                    raise SubstrateFailed(f"a worker did not start: {death}") from death
                said = {"died": str(death)}
            if cell is not None:
                heard.append((cell, said))
        return heard

    def end(self) -> None:
        """Ends all workers."""
        self._drop_all()
        self._selector.close()

    def _drop_all(self) -> None:
        for fd in list(self._workers):
            self._drop(fd)
        self._cells.clear()

    def _drop(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._workers.pop(fd).end()


def thread_counts() -> dict[str, str]:
    """A worker's environment: libraries read how many threads they may have when they are loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(names, str(THREADS))
