"""A pool of worker processes on this machine."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from bl_neuro.errors import InputError, SubstrateFailed
from bl_neuro.experiment.cells import THREADS, Cell
from bl_neuro.experiment.jobs import Job
from bl_neuro.experiment.running.runner import Outcome
from bl_neuro.interrupts import interrupts_held

WORKER = (sys.executable, "-m", "bl_neuro.experiment.running.worker")
"""The command of a worker."""
STARTS = 3
"""Number of consecutive workers that may die while starting before the run gives up."""
GRACE_S = 5.0
"""Seconds that a terminated worker has to close its target."""
REPEAT_S = 1.0
"""Seconds after which SIGTERM is repeated: Python drops the exception of a signal that arrives in some callbacks."""
LAST_WORDS = 500
"""Number of characters of a dead worker's standard error in the error message."""


class ProcessPool:
    """Up to `jobs` worker processes, started on demand. A `WorkerPool`.

    task: the first line sent to a worker; see `bl_neuro.experiment.running.worker`. command: starts a worker.
    """

    def __init__(self, task: dict[str, Any], jobs: int = 1, command: Sequence[str] = WORKER) -> None:
        if jobs < 1:
            raise InputError(f"jobs: expected at least 1, found {jobs}")
        self.task, self.capacity, self.command = task, jobs, command
        self._workers: dict[int, WorkerProcess] = {}
        self._jobs: dict[int, list[Cell]] = {}
        self._false_starts = 0
        self._selector = selectors.DefaultSelector()

    @property
    def busy(self) -> bool:
        """Whether a worker is running a cell, or starting."""
        return bool(self._jobs) or self._starting > 0

    @property
    def _starting(self) -> int:
        return sum(1 for worker in self._workers.values() if not worker.ready)

    def start(self, ready: Sequence[Job]) -> list[Job]:
        """Gives a job to every idle worker and starts further workers. Ends all workers if no jobs are left."""
        left, started = list(ready), []
        for fd, worker in self._workers.items():
            if left and worker.ready and fd not in self._jobs:
                job = left.pop(0)
                self._jobs[fd] = list(job)
                worker.give([cell.address for cell in job])
                started.append(job)
        while len(self._workers) < self.capacity and len(left) > self._starting:
            worker = WorkerProcess(self.command, self.task, thread_counts())
            self._workers[worker.fd] = worker
            self._selector.register(worker.fd, selectors.EVENT_READ)
        if not self.busy:
            self._drop_all()
        return started

    def wait(self) -> list[tuple[Cell, Outcome]]:
        """The outcomes of the cells of workers that answer or die next."""
        outcomes = []
        for key, _ in self._selector.select():
            worker, cells = self._workers[key.fd], self._jobs.pop(key.fd, [])
            try:
                outcome = worker.answer()
                self._false_starts = 0
                answered, rest = cells[:1], cells[1:]
                if rest:
                    self._jobs[key.fd] = rest
            except WorkerDied as death:
                self._drop(key.fd)
                self._false_starts += not worker.ready
                if self._false_starts == STARTS:
                    raise SubstrateFailed(f"a worker did not start: {death}") from death
                outcome, answered = {"died": str(death)}, cells
            outcomes += [(cell, outcome) for cell in answered]
        return outcomes

    def close(self) -> None:
        """Ends all workers. The first Ctrl-C meanwhile takes effect afterwards."""
        with interrupts_held():
            self._drop_all()
            self._selector.close()

    def _drop_all(self) -> None:
        for worker in self._workers.values():
            worker.terminate()  # all of them first, so that they end at the same time
        for fd in list(self._workers):
            self._drop(fd)
        self._jobs.clear()

    def _drop(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._workers.pop(fd).end()


def thread_counts() -> dict[str, str]:
    """The environment of a worker. Libraries read their number of threads from it when they are loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(names, str(THREADS))


class WorkerDied(Exception):
    """A worker ended unexpectedly; the message contains the reason and the end of its output."""


class WorkerProcess:
    """Starts a worker and sends it its task. ready: whether it has answered. environment: additional variables."""

    def __init__(self, command: Sequence[str], task: dict[str, Any], environment: Mapping[str, str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the worker lives
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, **environment},
            bufsize=0,
        )
        self.ready = False
        self._deadline: float | None = None
        self._send(task)

    @property
    def fd(self) -> int:
        """The file descriptor that becomes readable when the worker answers or ends."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    @property
    def alive(self) -> bool:
        """Whether the worker is running."""
        return self.process.poll() is None

    def give(self, addresses: Sequence[str]) -> None:
        """Starts the job of the cells with these addresses."""
        self._send(list(addresses))

    def answer(self) -> Outcome:
        """The next answer: one to the task, and one for each cell. Raises WorkerDied if the worker has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            self.process.wait()
            raise WorkerDied(self._last_words())
        self.ready = True
        outcome: Outcome = json.loads(line)
        return outcome

    def terminate(self) -> None:
        """Asks the worker to end."""
        self.process.terminate()
        if self._deadline is None:
            self._deadline = time.monotonic() + GRACE_S

    def end(self) -> None:
        """Terminates the worker, and kills it if that takes too long."""
        if self._deadline is None:
            self.terminate()
        while not self._ended_in(REPEAT_S):
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.process.kill()
                self.process.wait()
                break
            self.terminate()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _ended_in(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.alive

    def kill(self) -> None:
        """Kills the worker, from any thread; `answer` then raises WorkerDied."""
        self.process.kill()

    def _send(self, value: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died, which `answer` reports
            self.process.stdin.write(json.dumps(value).encode() + b"\n")

    def _last_words(self) -> str:
        code = self.process.returncode
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace").strip()
        how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{how}{f'; it said: {text[-LAST_WORDS:]}' if text else ''}"
