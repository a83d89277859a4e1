"""On a Dask worker: doing the cells of a run, each in a worker process of our own.

A Dask worker is a daemonic process with threads and libraries of its own choice, and it must go on answering its
scheduler. A cell has one thread, and Lava has children: so a cell is done by a process as on one machine, and Dask
only decides where, and notices what is lost. That process ends when the Dask worker does, however that ends.
"""

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin, get_worker

from bl_neuro.experiment.keeping.store import Result, Store
from bl_neuro.experiment.provenance import versions
from bl_neuro.experiment.running.worker_process import STARTS, WORKER, WorkerDied, WorkerProcess

IDLE_S = 60.0
"""Seconds after which processes without work end: who gave it may have been killed."""


class DaskCells(WorkerPlugin):
    """The worker processes of one run on one Dask worker, as many as its threads are at cells.

    token: names the run, and the file in the folder of the results by which that folder is known. found: versions of
    the packages where the run is. command: that of a worker, the usual one where None.
    """

    def __init__(
        self,
        token: str,
        task: dict[str, Any],
        environment: Mapping[str, str],
        found: Mapping[str, str],
        command: Sequence[str] | None,
    ) -> None:
        self.name = token
        self.task, self.environment, self.found, self.command = task, environment, found, command

    def setup(self, worker: Any) -> None:
        """Begins on a Dask worker."""
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._busy: dict[str, WorkerProcess] = {}
        self._dropped: set[str] = set()
        self._ended = False
        self._timer: threading.Timer | None = None

    async def teardown(self, worker: Any) -> None:
        """The run is over, or the Dask worker is closed: ends all processes."""
        self._ended = True
        await asyncio.to_thread(self._end_idle)
        with self._lock:
            for process in self._busy.values():
                process.kill()

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Ends a cell that nobody waits for any more, since its run was ended or killed."""
        if start == "executing" and finish not in ("memory", "error"):
            with self._lock:
                self._dropped.add(key)
                if key in self._busy:
                    self._busy[key].kill()

    def do(self, key: str, address: str) -> dict[str, Any]:
        """Does a cell and says what came of it; see `Crew`. {"unfit": why} where this Dask worker can do none."""
        out = Path(self.task["out"])
        unfit = self._unfit(out)
        if unfit is not None:
            return {"unfit": f"{platform.node()}: {unfit}"}
        if isinstance(Store(out).check(address), Result):
            return {}  # whoever was given it before was lost after the end of it
        for start in range(1, STARTS + 1):
            try:
                process = self._taken(key)
                break
            except WorkerDied as death:
                if start == STARTS:
                    return {"unfit": f"{platform.node()}: a worker did not start: {death}"}
        try:
            process.give(address)
            said = process.hear()
        except WorkerDied as death:
            process.end()
            said = {"died": str(death)}
        with self._lock:
            del self._busy[key]
            if process.alive:
                self._idle.append(process)
        self._wait_for_more()
        return said

    def _unfit(self, out: Path) -> str | None:
        if not (out / f".{self.name}").is_file():
            return f"does not see the folder of the results, {out}: give --out a folder that all machines share"
        own, wanted = versions(), self.found
        names = [name for name in {**wanted, **own} if own.get(name) != wanted.get(name)]
        different = [f"{name} {own.get(name, '(none)')}, not {wanted.get(name, '(none)')}" for name in names]
        return f"has {'; '.join(different)}, as the run has: results could differ" if different else None

    def _taken(self, key: str) -> WorkerProcess:
        """A process that waits for a cell."""
        with self._lock:
            if key in self._dropped or self._ended:
                raise WorkerDied("nobody waits for this cell any more")
            alive = [process for process in self._idle if process.alive]
            process = alive[-1] if alive else WorkerProcess(self.command or WORKER, self.task, self.environment)
            self._idle = alive[:-1]
            self._busy[key] = process
        try:
            if not process.ready:
                process.hear()
        except WorkerDied:
            process.end()
            with self._lock:
                del self._busy[key]
            raise
        return process

    def _wait_for_more(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(0.0 if self._ended else IDLE_S, self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()


def do_cell(token: str, key: str, address: str) -> dict[str, Any]:
    """The Dask task of a cell."""
    cells: Any = get_worker().plugins[token]
    said: dict[str, Any] = cells.do(key, address)
    return said
