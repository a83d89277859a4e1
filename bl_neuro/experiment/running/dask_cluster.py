"""A pool of Dask workers on machines that share a folder."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import queue
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, get_worker

from bl_neuro.errors import InputError, SubstrateFailed
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.jobs import Job
from bl_neuro.experiment.provenance import versions
from bl_neuro.experiment.running.processes import STARTS, WORKER, WorkerDied, WorkerProcess, thread_counts
from bl_neuro.experiment.running.runner import Outcome
from bl_neuro.experiment.store import MARK, Result, Store
from bl_neuro.interrupts import HeldInterrupts, children_without_interrupts

LOCAL = "local"
"""Special address: starts a cluster of Dask workers on this machine."""
CONNECT_S = 10
"""Seconds to wait for an answer of the scheduler."""
ALONE_S = 30.0
"""Interval in seconds for checking a silent local cluster; it has failed if two checks find no workers."""
PASSED_ON = ("BL_NEURO_DATA", "BL_NEURO_CACHE")
"""Environment variables that are copied to all workers: paths of shared folders."""


class DaskPool:
    """The workers of the Dask cluster at `scheduler`, or of a new cluster with `jobs` workers for "local".

    A `WorkerPool`. All ready cells are sent to the scheduler; results are written to the shared folder. If a Dask
    worker is lost, the scheduler sends its cells to other workers; finished cells are not run again.

    Raises:
        InputError: no scheduler answers at that address. SubstrateFailed: its workers cannot import bl-neuro.
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
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Any] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._submitted = 0
        self._registered = False
        self._cluster: Any = None
        self._interrupts = HeldInterrupts(lambda: self._ended.put(None))
        try:
            self._client = self._connected(jobs)
        except BaseException:
            self._interrupts.end()
            raise
        environment = {**thread_counts(), **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}
        try:
            self.mark.touch()
            self._begin(task, environment, None if tuple(command or WORKER) == WORKER else command)
        except BaseException:
            self.close()
            raise

    @property
    def busy(self) -> bool:
        """Whether the scheduler has jobs of this run."""
        return bool(self._jobs)

    @property
    def capacity(self) -> int:
        """Number of threads of all current workers."""
        try:
            threads: dict[str, int] = self._client.nthreads()
            return max(1, sum(threads.values()))
        except (OSError, RuntimeError):
            return 1

    def start(self, ready: Sequence[Job]) -> list[Job]:
        """Sends all `ready` jobs to the scheduler."""
        for job in ready:
            self._submitted += 1
            key = f"{job[0].kind}-{self.token}-{self._submitted}"
            addresses = [cell.address for cell in job]
            future = self._client.submit(do_job, self.token, key, addresses, key=key, pure=False)
            self._jobs[key], self._futures[key] = job, future
            future.add_done_callback(self._ended.put)
        return list(ready)

    def wait(self) -> list[tuple[Cell, Outcome]]:
        """The outcomes of the cells of the next finished job."""
        future = self._next()
        self._futures.pop(future.key, None)
        job = self._jobs.pop(future.key)
        return list(zip(job, self._outcomes(future, len(job))))

    def _next(self) -> Any:
        """The next finished future. Workers of a scheduler may join late; those of a local cluster do not."""
        alone = 0
        while alone < 2:
            try:
                future = self._ended.get(timeout=ALONE_S)
                self._interrupts.check()
                return future
            except queue.Empty:
                gone = self._cluster is not None and not self._client.nthreads()
                alone = alone + 1 if gone else 0
        raise SubstrateFailed(f"{self.scheduler}: all Dask workers died; finished cells are kept; run the audit again")

    def close(self) -> None:
        """Cancels unfinished cells and disconnects. Shuts down a local cluster."""
        with suppress(OSError):
            self.mark.unlink(missing_ok=True)
        steps: list[Callable[[], Any]] = [
            lambda: self._client.cancel(list(self._futures.values())),
            *([lambda: self._client.unregister_worker_plugin(self.token)] if self._registered else []),
            self._client.close,
            *([] if self._cluster is None else [self._cluster.close]),
        ]
        for step in steps:
            with suppress(OSError, RuntimeError, TimeoutError, ValueError):  # scheduler or plugin may be gone
                step()
        self._interrupts.end()
        self._jobs.clear()
        self._futures.clear()

    def _connected(self, jobs: int) -> Any:
        if self.scheduler == LOCAL:
            # In this process, since each cell has a process of its own; processes of Dask would run the main module of
            # a script again. No limit: Dask would end a worker that seems large. Its pages: on any free port.
            with children_without_interrupts():
                self._cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=False,
                    memory_limit=0,
                    dashboard_address=":0",
                    silence_logs=logging.ERROR,
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
        plugin = DaskCells(self.token, task, environment, versions(), command)
        try:
            self._registered = True
            self._client.register_plugin(plugin)
        except Exception as error:  # whatever a worker raises comes out here
            raise SubstrateFailed(
                f"{self.scheduler}: its workers cannot run cells ({type(error).__name__}: {error}); install the "
                f"same bl-neuro on their machines"
            ) from error
        if not self._client.nthreads():
            logging.getLogger("bl_neuro").warning("%s: no workers yet; cells wait for them", self.scheduler)
        self._interrupts.check()

    def _outcomes(self, future: Any, cells: int) -> list[Outcome]:
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                return [{"died": str(error)}] * cells
            return [{"failed": f"{type(error).__name__}: {error}"}] * cells
        if future.status != "finished":
            raise SubstrateFailed(
                f"{self.scheduler}: the scheduler ended or dropped a cell ({future.status}); finished cells are kept"
            )
        outcomes: list[Outcome] = future.result()
        unfit = next((outcome["unfit"] for outcome in outcomes if "unfit" in outcome), None)
        if unfit is not None:
            raise SubstrateFailed(f"{self.scheduler}: a worker cannot run cells: {unfit}")
        return outcomes


IDLE_S = 60.0
"""Seconds after which idle processes end, since the main process may have been killed."""


class DaskCells(WorkerPlugin):
    """The worker processes of one run on one Dask worker, one per busy thread.

    token: identifies the run, and names the file by which the results folder is recognised. wanted: versions of the
    packages in the main process. command: command of a worker process, None for the default.
    """

    def __init__(
        self,
        token: str,
        task: dict[str, Any],
        environment: Mapping[str, str],
        wanted: Mapping[str, str],
        command: Sequence[str] | None,
    ) -> None:
        self.name = token
        self.task, self.environment, self.wanted, self.command = task, environment, wanted, command

    def setup(self, worker: Any) -> None:
        """Called when the plugin is installed on a Dask worker."""
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
        """Ends a cell whose result is no longer needed, since its run was ended or killed."""
        if start == "executing" and finish not in ("memory", "error"):
            with self._lock:
                self._dropped.add(key)
                if key in self._busy:
                    self._busy[key].kill()

    def do(self, key: str, addresses: Sequence[str]) -> list[Outcome]:
        """Runs a job. Returns the outcomes of its cells (see `runner.Outcome`).

        The outcome is {"unfit": why} if this worker cannot run any cell.
        """
        out = Path(self.task["out"])
        unfit = self._unfit(out)
        if unfit is not None:
            return [{"unfit": f"{platform.node()}: {unfit}"}]
        # another worker may have finished some and was lost afterwards
        left = [address for address in addresses if not isinstance(Store(out).check(address), Result)]
        done = dict.fromkeys(addresses, Outcome())
        if not left:
            return list(done.values())
        for start in range(1, STARTS + 1):
            try:
                process = self._idle_process(key)
                break
            except WorkerDied as death:
                if start == STARTS:
                    return [{"unfit": f"{platform.node()}: a worker did not start: {death}"}]
        done.update(_run(process, left))
        with self._lock:
            del self._busy[key]
            if process.alive:
                self._idle.append(process)
        self._wait_for_more()
        return list(done.values())

    def _unfit(self, out: Path) -> str | None:
        if not (out / f".{self.name}").is_file():
            return f"does not see the folder of the results, {out}: give --out a folder that all machines share"
        own, wanted = versions(), self.wanted
        names = [name for name in {**wanted, **own} if own.get(name) != wanted.get(name)]
        different = [f"{name} {own.get(name, '(none)')}, not {wanted.get(name, '(none)')}" for name in names]
        return f"has {'; '.join(different)}, as the run has: results could differ" if different else None

    def _idle_process(self, key: str) -> WorkerProcess:
        """An idle worker process."""
        with self._lock:
            if key in self._dropped or self._ended:
                raise WorkerDied("the run that needs this cell has ended")
            alive = [process for process in self._idle if process.alive]
            process = alive[-1] if alive else WorkerProcess(self.command or WORKER, self.task, self.environment)
            self._idle = alive[:-1]
            self._busy[key] = process
        try:
            if not process.ready:
                process.answer()
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


def _run(process: WorkerProcess, addresses: Sequence[str]) -> dict[str, Outcome]:
    """Runs a job on a process, which is ended if it dies. Returns the outcomes by address."""
    outcomes: dict[str, Outcome] = {}
    try:
        process.give(addresses)
        for address in addresses:
            outcomes[address] = process.answer()
    except WorkerDied as death:
        process.end()
        outcomes |= {address: {"died": str(death)} for address in addresses if address not in outcomes}
    return outcomes


def do_job(token: str, key: str, addresses: Sequence[str]) -> list[Outcome]:
    """The Dask task of a job."""
    cells: Any = get_worker().plugins[token]
    outcomes: list[Outcome] = cells.do(key, addresses)
    return outcomes
