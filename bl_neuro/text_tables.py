"""Results as lines and tables of text of any width: words wrap, numbers stay whole, and rows are stacked if needed."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Literal

from bl_neuro.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""Number of characters between columns."""
LONGEST_WORD = 20
"""Length in characters above which a word may be split, such as a path."""
WIDTH = 160
"""Width in characters of text that is not printed to a terminal."""


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


def plain(text: str) -> str:
    """`text` for a terminal: with plain spaces for those that keep words together, and control characters escaped."""
    return printable(text.replace("\u00a0", " "))


def columns_of(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: range) -> list[Column]:
    """The columns of a table; those in `numbers` contain numbers. Escapes characters that are not printable."""
    return [
        Column(header, tuple(plain(row[index]) for row in rows), index not in numbers)
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
        result[lines.index(max(lines))] += 1  # widen the column that wraps most
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


@dataclass(frozen=True)
class TextTable:
    """A titled table. Columns numbers_from..words_from contain numbers, the others text, which may wrap."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers_from: int = 1
    words_from: int | None = None

    @property
    def columns(self) -> list[Column]:
        """The columns, with characters escaped that are not printable."""
        end = len(self.headers) if self.words_from is None else self.words_from
        return columns_of(self.headers, self.rows, range(self.numbers_from, end))

    def text(self, width: int) -> str:
        """The title and the table in lines of `width` characters."""
        from rich.console import Console

        columns = self.columns
        column_widths = widths(columns, width)
        if column_widths is None:
            return f"{self.title}\n{stacked(columns, width)}"
        # In a Jupyter kernel, a console without force_jupyter=False would display an empty output beside the text.
        console = Console(width=width, file=StringIO(), color_system=None, legacy_windows=False, force_jupyter=False)
        with console.capture() as captured:
            console.print(side_by_side(columns, column_widths))
        lines = [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]
        return "\n".join([self.title, *lines])

    def html(self) -> str:
        """The title and the table for notebooks."""
        head = "".join(f"<th>{escape(header)}</th>" for header in self.headers)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<p><b>{escape(self.title.strip())}</b></p><table><tr>{head}</tr>{rows}</table>"


class Printed(ABC):
    """Base class of results that print as lines and tables, like the command line prints them."""

    @abstractmethod
    def text_parts(self) -> list[str | TextTable]:
        """The lines and tables of the result."""

    def __repr__(self) -> str:
        parts = self.text_parts()
        return "\n".join(plain(part) if isinstance(part, str) else part.text(WIDTH) for part in parts)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return "".join(
            f"<p>{escape(part.strip())}</p>" if isinstance(part, str) else part.html() for part in self.text_parts()
        )
