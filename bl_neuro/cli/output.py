"""Prints tables, lines and JSON to standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from bl_neuro.cli.printable import printable
from bl_neuro.cli.table import columns_of, side_by_side, stacked, widths

PIPED_WIDTH = 160


def print_json(values: Any) -> None:
    """Prints one JSON value, indented."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def print_table(
    title: str, columns: list[str], rows: list[list[str]], numbers_from: int = 1, words_from: int | None = None
) -> None:
    """Prints a titled table. Columns numbers_from..words_from contain numbers, which are never truncated.

    Rows are stacked if the terminal is too narrow.
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
    """Prints one line to standard output, with control sequences escaped."""
    sys.stdout.write(printable(text) + "\n")
