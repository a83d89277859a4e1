"""What commands print on standard output: tables, lines, and one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

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
    cells = columns_of(columns, rows, numbers)
    # Piped output has no width of its own; 80 columns would fold cells that a file could hold.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    column_widths = widths(cells, console.width)
    if column_widths is None:
        say(stacked(cells, console.width))
    else:
        console.print(side_by_side(cells, column_widths))


def say(text: str) -> None:
    """A line for people on standard output, without control sequences."""
    sys.stdout.write(printable(text) + "\n")
