"""Tables for terminals of any width: text wraps, numbers stay whole, and rows are stacked if there is no space."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bl_neuro.cli.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""Number of characters between columns."""
LONGEST_WORD = 20
"""Length in characters above which a word may be split, such as a path."""


@dataclass(frozen=True)
class Column:
    """A column of cells under a header. words: left-aligned text that may wrap; otherwise numbers, never truncated."""

    header: str
    cells: tuple[str, ...]
    words: bool

    @property
    def natural(self) -> int:
        """Width in characters that is needed without wrapping."""
        return max(len(line) for text in (self.header, *self.cells) for line in text.split("\n"))

    @property
    def least(self) -> int:
        """Minimum width in characters: headers and text wrap between words, numbers do not."""
        words = [len(word) for text in (self.header, *self.cells) for word in text.split()]
        longest = max(words, default=0)
        if self.words:
            return min(longest, LONGEST_WORD)
        return max(longest, *(len(cell) for cell in self.cells), 0)


def columns_of(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: range) -> list[Column]:
    """The columns of a table; those in `numbers` contain numbers. Escapes characters that are not printable."""
    return [
        Column(header, tuple(printable(row[index]) for row in rows), index not in numbers)
        for index, header in enumerate(headers)
    ]


def widths(columns: Sequence[Column], width: int) -> list[int] | None:
    """The widths of the columns in a line of `width` characters, or None if they do not fit side by side."""
    result = [column.least for column in columns]
    spare = width - sum(result) - GAP * (len(columns) - 1)
    if spare < 0:
        return None
    wanted = [max(column.natural, 1) for column in columns]
    for _ in range(min(spare, sum(column.natural for column in columns) - sum(result))):
        lines = [want / max(width, 1) for want, width in zip(wanted, result)]
        result[lines.index(max(lines))] += 1  # widen the column that column that wraps into most lines
    return result


def side_by_side(columns: Sequence[Column], given: Sequence[int]) -> Table:
    """A Rich table whose columns have the widths `given`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, GAP - 1))
    for column, width in zip(columns, given):
        justify: Literal["left", "right"] = "left" if column.words else "right"
        table.add_column(Text(column.header), justify=justify, width=width, overflow="fold")
    for row in zip(*(column.cells for column in columns)):
        table.add_row(*(Text(cell) for cell in row))
    return table


def stacked(columns: Sequence[Column], width: int) -> str:
    """Formats every row as a paragraph: the first cell and those without a header, then one line per other cell."""
    blocks = []
    inner = max(len(column.header) for column in columns)
    for row in zip(*(column.cells for column in columns)):
        named = [(column.header, cell) for column, cell in zip(columns, row)]
        head = " ".join(part for part in (*named[0], *(cell for header, cell in named[1:] if not header)) if part)
        lines = textwrap.wrap(head, width, subsequent_indent="  ", break_on_hyphens=False)
        for header, cell in named[1:]:
            if header and cell:
                lines += _indented(f"  {header:{inner}}  ", cell, width)
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _indented(begin: str, cell: str, width: int) -> list[str]:
    lines = [
        line
        for paragraph in cell.split("\n")
        for line in textwrap.wrap(paragraph, max(width - len(begin), LONGEST_WORD), break_on_hyphens=False)
    ]
    return [(" " * len(begin) if index else begin) + line for index, line in enumerate(lines)]
