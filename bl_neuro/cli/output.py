"""Prints tables, lines and JSON to standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from bl_neuro.text_tables import WIDTH, TextTable, plain, side_by_side, stacked, widths

PIPED_WIDTH = WIDTH


def print_json(values: Any) -> None:
    """Prints one JSON value, indented."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def print_table(
    title: str, columns: list[str], rows: list[list[str]], numbers_from: int = 1, words_from: int | None = None
) -> None:
    """Prints a titled table. Columns numbers_from..words_from contain numbers, which are never truncated.

    Rows are stacked if the terminal is too narrow.
    """
    print_parts([TextTable(title, columns, rows, numbers_from, words_from)])


def print_parts(parts: Sequence[str | TextTable]) -> None:
    """Prints lines and tables, as wide as the terminal."""
    # Piped output has no width of its own; 80 columns would fold cells that a file could hold.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    for part in parts:
        if isinstance(part, str):
            say(part)
            continue
        say(part.title)
        columns = part.columns
        column_widths = widths(columns, console.width)
        if column_widths is None:
            say(stacked(columns, console.width))
        else:
            console.print(side_by_side(columns, column_widths))


def say(text: str) -> None:
    """Prints one line to standard output, with control sequences escaped."""
    sys.stdout.write(plain(text) + "\n")
