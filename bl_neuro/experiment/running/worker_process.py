"""A worker as it is held by who gives it cells: a process that is told addresses and heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

WORKER = (sys.executable, "-m", "bl_neuro.experiment.running.worker")
"""The command of a worker."""
STARTS = 3
"""Workers in a row that may die while they start; then something is wrong with all of them."""
GRACE_S = 5.0
"""Seconds that a worker has to close its target when it is told to end."""
LAST_WORDS = 500
"""Characters of a dead worker's standard error that are told."""


class WorkerDied(Exception):
    """A worker ended when it should not; the message says how, with the last that it wrote."""


class WorkerProcess:
    """Starts a worker and tells it its task. ready: whether it answered that. environment: on top of this process's."""

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
        self._tell(task)

    @property
    def fd(self) -> int:
        """What becomes readable when it answers or ends."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def give(self, address: str) -> None:
        """Has it do the cell of that address."""
        self._tell(address)

    def hear(self) -> dict[str, Any]:
        """Its answer: there is one line for each that it was told. WorkerDied where it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            self.process.wait()
            raise WorkerDied(self._last_words())
        self.ready = True
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self) -> None:
        """Ends it, gently first."""
        self.process.terminate()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def kill(self) -> None:
        """Ends it at once, from any thread; who hears it hears of its death."""
        self.process.kill()

    def _tell(self, value: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died; that is heard
            self.process.stdin.write(json.dumps(value).encode() + b"\n")

    def _last_words(self) -> str:
        code = self.process.returncode
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace").strip()
        how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{how}{f'; it said: {text[-LAST_WORDS:]}' if text else ''}"
