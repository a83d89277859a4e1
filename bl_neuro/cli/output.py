"""What commands print: tables and one JSON object on standard output, progress on a terminal's standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bl_neuro.cli.printable import printable
from bl_neuro.cli.table import columns_of, side_by_side, stacked, widths

PIPED_WIDTH = 160


def print_json(values: Any) -> None:
    """One JSON value, indented."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def print_table(
    title: str, columns: list[str], rows: list[list[str]], numbers_from: int = 1, words_from: int | None = None
) -> None:
    """A title and a table under it; columns in numbers_from..words_from hold numbers, which are never cut.

    Rows are stacked where the terminal is too narrow for them.
    """
    say(title)
    numbers = range(numbers_from, len(columns) if words_from is None else words_from)
    found = columns_of(columns, rows, numbers)
    # Piped output has no width of its own; 80 columns would fold cells that a file could hold.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    given = widths(found, console.width)
    if given is None:
        say(stacked(found, console.width))
    else:
        console.print(side_by_side(found, given))


def say(text: str) -> None:
    """A line for people on standard output, without control sequences."""
    sys.stdout.write(printable(text) + "\n")


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
