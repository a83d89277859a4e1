"""What commands print: tables and one JSON object on standard output, progress on a terminal's standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def print_json(values: Any) -> None:
    """One JSON value, indented."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def print_table(title: str, columns: list[str], rows: list[list[str]], numbers_from: int = 1) -> None:
    """A title and a table under it; columns from `numbers_from` on are aligned to the right."""
    say(title)
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < numbers_from else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Piped output has no width of its own; 80 columns would fold cells that a file could hold.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def say(text: str) -> None:
    """A line for people on standard output."""
    sys.stdout.write(text + "\n")


class ProgressBars:
    """Stages with progress bars on a terminal; silent where standard error is none."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Begins a stage; the stage before it is done."""
        for task in self._progress.tasks:
            self._progress.update(task.id, completed=task.total or 1, total=task.total or 1)
        task_id = self._progress.add_task(name, total=None)

        def step(done: int, total: int) -> None:
            self._progress.update(task_id, completed=done, total=total)

        return step


@contextmanager
def progress_bars() -> Iterator[ProgressBars]:
    """Progress bars for the length of a command."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        yield ProgressBars(progress)
