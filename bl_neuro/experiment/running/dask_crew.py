"""A crew of Dask workers, on any machines that share a folder."""

from __future__ import annotations

import logging
import os
import queue
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bl_neuro.errors import InputError, MissingDependency, SubstrateFailed
from bl_neuro.experiment.keeping.store import MARK
from bl_neuro.experiment.planning.planned_cell import Cell
from bl_neuro.experiment.provenance import versions
from bl_neuro.experiment.running.crew import Said
from bl_neuro.experiment.running.processes import thread_counts
from bl_neuro.experiment.running.worker_process import WORKER

LOCAL = "local"
"""In the place of an address: a cluster of Dask workers on this machine."""
CONNECT_S = 10
"""Seconds that a scheduler has to answer."""
ALONE_S = 30.0
"""Seconds between looks at a local cluster that says nothing; without workers at two of them, none will come."""
PASSED_ON = ("BL_NEURO_DATA", "BL_NEURO_CACHE")
"""Variables that are as here on all workers: paths of a shared folder."""


class DaskCrew:
    """The workers of the Dask cluster at `scheduler`; or of a new one of `jobs` workers here, where that is "local".

    A `Crew`. Cells that can be done are all given to the scheduler, and their results go into the shared folder. When
    a Dask worker is lost, the scheduler gives its cells to others; what it had finished is not done again.

    Raises:
        MissingDependency: Dask is not installed. InputError: no scheduler answers at that address. SubstrateFailed:
        its workers do not know bl-neuro.
    """

    def __init__(
        self, task: dict[str, Any], scheduler: str, jobs: int = 1, command: Sequence[str] | None = None
    ) -> None:
        if jobs < 1 or (jobs > 1 and scheduler != LOCAL):
            raise InputError(
                f"jobs: expected {'1 or more' if scheduler == LOCAL else '1 beside a scheduler'}, found {jobs}"
            )
        self.scheduler = scheduler
        self.token = f"{MARK}{secrets.token_hex(8)}"
        self.mark = Path(task["out"]) / f".{self.token}"
        self._cells: dict[str, Cell] = {}
        self._futures: dict[str, Any] = {}
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._given = 0
        self._cluster: Any = None
        self._client = self._connected(jobs)
        self.mark.touch()
        environment = {**thread_counts(), **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}
        try:
            self._begin(task, environment, None if tuple(command or WORKER) == WORKER else command)
        except BaseException:
            self.end()
            raise

    @property
    def at_work(self) -> bool:
        """Whether the scheduler has cells of ours."""
        return bool(self._cells)

    @property
    def width(self) -> int:
        """Threads of all workers that are there now."""
        try:
            threads: dict[str, int] = self._client.nthreads()
            return max(1, sum(threads.values()))
        except (OSError, RuntimeError):
            return 1

    def take(self, ready: Sequence[Cell]) -> list[Cell]:
        """Gives all of `ready` to the scheduler."""
        from bl_neuro.experiment.running.dask_cells import do_cell

        for cell in ready:
            self._given += 1
            key = f"{cell.kind}-{self.token}-{self._given}"
            future = self._client.submit(do_cell, self.token, key, cell.address, key=key, pure=False)
            self._cells[key], self._futures[key] = cell, future
            future.add_done_callback(self._news.put)
        return list(ready)

    def hear(self) -> list[tuple[Cell, Said]]:
        """What came of the next cell."""
        future = self._next()
        self._futures.pop(future.key, None)
        return [(self._cells.pop(future.key), self._said(future))]

    def _next(self) -> Any:
        """The next future that ended. Workers of a scheduler may come late; a local cluster's that are gone do not."""
        alone = 0
        while alone < 2:
            try:
                return self._news.get(timeout=ALONE_S)
            except queue.Empty:
                gone = self._cluster is not None and not self._client.nthreads()
                alone = alone + 1 if gone else 0
        raise SubstrateFailed(f"{self.scheduler}: all Dask workers died; what was finished is kept; run it again")

    def end(self) -> None:
        """Takes back what is not done, and leaves the scheduler; a local cluster is closed."""
        with suppress(OSError):
            self.mark.unlink(missing_ok=True)
        steps: list[Callable[[], Any]] = [
            lambda: self._client.cancel(list(self._futures.values())),
            lambda: self._client.unregister_worker_plugin(self.token),
            self._client.close,
            *([] if self._cluster is None else [self._cluster.close]),
        ]
        for step in steps:
            with suppress(OSError, RuntimeError, TimeoutError):  # the scheduler may be gone
                step()
        self._cells.clear()
        self._futures.clear()

    def _connected(self, jobs: int) -> Any:
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise MissingDependency("--scheduler needs Dask: pip install 'bl-neuro[dask]'") from error
        if self.scheduler == LOCAL:
            # No limit: Dask would end a worker that seems large. Its pages: on any free port.
            self._cluster = LocalCluster(
                n_workers=jobs, threads_per_worker=1, memory_limit=0, dashboard_address=":0", silence_logs=logging.ERROR
            )
            return Client(self._cluster)
        try:
            return Client(self.scheduler, timeout=CONNECT_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"scheduler: expected the address of a Dask scheduler that answers, such as tcp://HOST:8786, or "
                f"{LOCAL}; found {self.scheduler} ({error or 'no answer'})"
            ) from error

    def _begin(self, task: dict[str, Any], environment: dict[str, str], command: Sequence[str] | None) -> None:
        from bl_neuro.experiment.running.dask_cells import DaskCells

        try:
            self._client.register_plugin(DaskCells(self.token, task, environment, versions(), command))
        except Exception as error:  # whatever a worker raises comes out here
            raise SubstrateFailed(
                f"{self.scheduler}: its workers cannot do cells ({type(error).__name__}: {error}); install this "
                f"bl-neuro where they run"
            ) from error
        if not self._client.nthreads():
            logging.getLogger("bl_neuro").warning("%s: no workers yet; cells wait for them", self.scheduler)

    def _said(self, future: Any) -> Said:
        from distributed import KilledWorker

        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                return {"died": str(error)}
            return {"failed": f"{type(error).__name__}: {error}"}
        if future.status != "finished":
            raise SubstrateFailed(
                f"{self.scheduler}: the scheduler ended or dropped a cell ({future.status}); what was finished is kept"
            )
        said: Said = future.result()
        if "unfit" in said:
            raise SubstrateFailed(f"{self.scheduler}: a worker cannot do cells: {said['unfit']}")
        return said
