"""One supervised simulation: started with the first query, and replaced if it is killed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from bl_neuro.backends.lava.supervisor import Answer, ChildDied, LavaProcess, Plan
from bl_neuro.errors import TargetClosed

START_DEADLINE_S = 180.0
RESTARTS = 3
"""Maximum number of times that a sample is repeated on a new simulation because the previous one was killed."""


class Runtime:
    """Answers samples one after another. Only one thread at a time may query it; any thread may end it.

    folder: folder for the simulation's files. python: its interpreter. deadline_s: time limit for one sample.
    spare: whether a second child process, with Lava imported, waits to replace one that ends.

    Attributes: `restarts`, number of simulations that were killed and replaced; `start_s` and `run_s`, seconds spent
    starting and answering; `rounds`, number of answered samples.
    """

    def __init__(self, folder: Path, python: str, deadline_s: float, spare: bool = False) -> None:
        self._folder, self._python, self._deadline_s = folder, python, deadline_s
        self._wants_spare = spare
        self._spare: LavaProcess | None = None
        self._process: LavaProcess | None = None
        self._plan: Plan | None = None
        self._changing = threading.Lock()
        self._closed = False
        self.restarts = 0
        self.rounds = 0
        self.start_s = 0.0
        self.run_s = 0.0

    @property
    def process(self) -> LavaProcess | None:
        """The running child process, or None."""
        return self._process

    @property
    def spare(self) -> LavaProcess | None:
        """The waiting spare child process, or None."""
        return self._spare

    def ask(self, plan: Plan, frames: bytes, states: bool, stop: threading.Event | None = None) -> Answer:
        """The answer to one sample of `plan`; repeated if the simulation is killed, unless `stop` is set."""
        kills = 0
        while True:
            try:
                process = self._started(plan)
                start_time = time.monotonic()
                answer = process.run(frames, states, self._deadline_s)
                self.run_s += time.monotonic() - start_time
                self.rounds += 1
                self._keep_spare()
                return answer
            except ChildDied:
                self.drop()
                if kills == RESTARTS or (stop is not None and stop.is_set()):
                    raise
                kills += 1
                self.restarts += 1
            except BaseException:
                self.drop()
                raise

    def _started(self, plan: Plan) -> LavaProcess:
        """The running simulation of `plan`; a simulation of another plan is ended first."""
        self._check_open()
        if self._process is None or self._plan != plan:
            self.drop()
            start_time = time.monotonic()
            process = self._take_spare() or LavaProcess(self._folder, self._python)
            with self._changing:
                self._process, self._plan = process, plan
            self._check_open()  # another thread may have closed this runtime before the process was registered
            process.open(plan, START_DEADLINE_S)
            self.start_s += time.monotonic() - start_time
        return self._process

    def _keep_spare(self) -> None:
        """Starts a spare process if one is wanted and none is alive."""
        if not self._wants_spare or (self._spare is not None and self._spare.alive):
            return
        self._end_spare()
        spare = LavaProcess(self._folder, self._python)
        with self._changing:
            self._spare = spare
        if self._closed:  # another thread may have closed this runtime before the spare was registered
            self._end_spare()

    def _take_spare(self) -> LavaProcess | None:
        with self._changing:
            spare, self._spare = self._spare, None
        if spare is not None and not spare.alive:
            spare.kill()
            return None
        return spare

    def _end_spare(self) -> None:
        spare = self._spare
        if spare is not None:
            spare.kill()
            with self._changing:
                if self._spare is spare:
                    self._spare = None

    def _check_open(self) -> None:
        if self._closed:
            raise TargetClosed("this lava target was closed while it was running")

    def has(self, plan: Plan) -> bool:
        """Whether a simulation of `plan` is running."""
        return self._process is not None and self._plan == plan

    def drop(self) -> None:
        """Ends the simulation; the next sample starts a new one."""
        process = self._process
        if process is None:
            return
        process.close()
        with self._changing:
            if self._process is process:  # only after closing, so that an interrupted close can be repeated
                self._process = None

    def close(self) -> None:
        """Ends the simulation permanently."""
        self._closed = True
        try:
            self.drop()
        finally:
            self._end_spare()
