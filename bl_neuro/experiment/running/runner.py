"""Those who do a runner's cells, whether here or on other machines."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean
from typing import Any, Protocol

from bl_neuro.errors import ReportError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.store import Result, Store

Said = dict[str, Any]
"""What is said of a cell: {} done, {"failed": why}, {"died": how} where its worker ended in the middle, or
{"unwritable": why} where nothing can be kept any more."""


class Crew(Protocol):
    """Takes cells that can be done, in any number at once, and tells of each once what came of it."""

    def take(self, ready: Sequence[Cell]) -> list[Cell]:
        """Begins with as many of `ready` as it can now, the first ones first, and says which."""

    def hear(self) -> list[tuple[Cell, Said]]:
        """Waits for news; what came of cells, perhaps of none.

        Raises:
            SubstrateFailed: no worker can start, or all are out of reach.
        """

    @property
    def at_work(self) -> bool:
        """Whether there is anything to wait for."""

    @property
    def width(self) -> int:
        """How many cells it can be at at once, at least 1."""

    def end(self) -> None:
        """Ends all workers, also those in the middle of a cell."""


ATTEMPTS = 2
"""Times that a cell is given to a worker, where the first one died of it."""


@dataclass(frozen=True)
class Failure:
    """A cell that came to nothing, and why."""

    cell: Cell
    error: str


@dataclass
class Standing:
    """Where a run is. waiting: cells to do, in order. done, failed: of this run. left_out: what failed cells leave out.

    torn: results that were there and did not hold; they are made anew. width: cells that can run at once.
    """

    waiting: list[Cell]
    finished: set[str]
    done: list[Cell] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    left_out: list[Cell] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    width: int = 1


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
    """Runs `cells` into `store` by `crew`, which it ends. told: called after each cell."""

    def __init__(self, cells: Sequence[Cell], store: Store, crew: Crew, told: Told | None = None) -> None:
        self.cells, self.store, self.crew = cells, store, crew
        self.told = told or (lambda _: None)
        self.attempts: dict[str, int] = {}

    def run(self) -> Standing:
        """Runs what is not done. The store must be locked.

        Raises:
            ReportError: nothing can be kept any more. SubstrateFailed: workers do not start, or are out of reach.
            KeyboardInterrupt, SystemExit: Ctrl-C, SIGTERM.
        """
        with _ends_on_sigterm():
            try:
                self.state = standing(self.cells, self.store)
                self._tell()
                self._begin()
                while self.crew.at_work:
                    for cell, said in self.crew.hear():
                        self._settle(cell, said)
                    self._begin()
            finally:
                self.crew.end()
        self.state.left_out += self.state.waiting
        self.state.waiting = []
        return self.state

    def _begin(self) -> None:
        """Offers the crew all that can be done now."""
        finished = self.state.finished
        ready = [cell for cell in self.state.waiting if all(need.address in finished for need in cell.needs)]
        for cell in self.crew.take(ready):
            self.state.waiting.remove(cell)
            self.attempts[cell.address] = self.attempts.get(cell.address, 0) + 1

    def _settle(self, cell: Cell, said: Said) -> None:
        """Puts down what came of a cell."""
        if "unwritable" in said:
            raise ReportError(said["unwritable"])
        if "died" in said and isinstance(self.store.check(cell.address), Result):
            said = {}  # it died of nothing that matters: the result is there
        if "died" in said and self.attempts[cell.address] < ATTEMPTS:
            self.state.waiting.insert(0, cell)
            return
        if "died" in said:
            said = {"failed": f"its worker died, {ATTEMPTS} times: {said['died']}"}
        if "failed" in said:
            self.store.write_failure(cell.definition, said)
            self.state.failed.append(Failure(cell, said["failed"]))
        else:
            self.state.finished.add(cell.address)
            self.state.done.append(cell)
        self._tell()

    def _tell(self) -> None:
        self.state.width = self.crew.width
        self.told(self.state)


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


ALIKE = (("target", "substrate", "attack", "reveals", "evaluator"), ("substrate", "attack", "evaluator"), ("attack",))
"""What makes cells of one kind alike: first all of it, then less."""


class Costs:
    """Seconds of finished cells, by what they have in common."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seconds: dict[tuple[object, ...], list[float]] = {}

    def add(self, cells: Iterable[Cell]) -> None:
        """Learns from finished cells."""
        for cell in cells:
            seconds = self.store.seconds(cell.address)
            if seconds is not None:
                for key in _keys(cell):
                    self._seconds.setdefault(key, []).append(seconds)

    def seconds(self, cell: Cell) -> float | None:
        """What `cell` is expected to take; None where nothing like it is finished."""
        return next((mean(self._seconds[key]) for key in _keys(cell) if key in self._seconds), None)

    def total(self, cells: Iterable[Cell]) -> tuple[float, int]:
        """Seconds of those whose cost can be told, and how many others there are."""
        found = [self.seconds(cell) for cell in cells]
        return sum(each for each in found if each is not None), found.count(None)


def _keys(cell: Cell) -> list[tuple[object, ...]]:
    return [(cell.kind, *(cell.facts.get(name) for name in names), names) for names in ALIKE]
