"""Progress bars on standard error if it is a terminal, and in notebooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from bl_neuro.api.notebook import NotebookProgress, in_notebook
from bl_neuro.experiment.cost_estimates import Estimates, total
from bl_neuro.experiment.running.runner import OnChange, RunState
from bl_neuro.experiment.session import Audit

AuditProgress = Literal["auto"] | OnChange | None
"""How a long call reports progress: "auto" (bars on terminals and in notebooks), a function, or None."""
BAR_WIDTH = 24


class ProgressBars:
    """A progress bar for each stage of a long call."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Starts a stage and ends the previous one. The returned function takes (done, total)."""
        for task in self._progress.tasks:
            self._progress.update(task.id, completed=task.total or 1, total=task.total or 1)
        task_id = self._progress.add_task(name, total=None)

        def step(done: int, total: int) -> None:
            self._progress.update(task_id, completed=done, total=total)

        return step


@contextmanager
def progress_bars(shown: bool = True) -> Iterator[ProgressBars]:
    """Progress bars on terminals and in notebooks; none elsewhere, or if `shown` is False."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=BAR_WIDTH), TimeElapsedColumn())
    with _bars(columns, shown and _is_visible()) as progress:
        yield ProgressBars(progress)


def _is_visible() -> bool:
    # standard error is None where it is closed, as under cron
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _bars(columns: Sequence[ProgressColumn], shown: bool) -> Progress:
    if shown and in_notebook():
        return NotebookProgress(*columns)
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


@contextmanager
def audit_progress(audit: Audit, progress: AuditProgress) -> Iterator[OnChange | None]:
    """The callback after each cell: a progress bar with the time left, the function of the caller, or none."""
    if progress != "auto" or not _is_visible():
        yield None if progress == "auto" else progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=BAR_WIDTH), TextColumn("{task.completed}"))
    columns_of_time = (TextColumn("of {task.total}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    known = set[str]()

    @cache
    def estimates() -> Estimates:
        return Estimates.of_user(audit.material, audit.store, audit.cache)

    with _bars((*columns, *columns_of_time), shown=True) as bars:
        task = bars.add_task(audit.experiment.name, total=None, left="", visible=False)  # until cells are counted

        def update(state: RunState) -> None:
            new = [cell for cell in audit.cells if cell.address in state.finished - known]
            estimates().add(new)
            known.update(cell.address for cell in new)
            seconds, unknown = total([estimates().of(cell) for cell in state.waiting])
            time_left = f"{'more than ' if unknown else ''}{duration(seconds / state.capacity)} left"
            failed = f"{time_left}, {len(state.failed)} failed"
            bars.update(task, completed=len(state.finished), total=len(audit.cells), left=failed, visible=True)

        yield update


def duration(seconds: float | None) -> str:
    """Formats seconds, such as "3 min 05 s"; "-" if they are not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
