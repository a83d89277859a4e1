"""Finds the line of each value in a TOML file, which TOML parsers do not report."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath = tuple[str | int, ...]
"""The path of a value: names of tables and keys, and list indices, such as ("attacks", 0, "budget")."""
TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""("{0,2})|\'\'\'.*?\'\'\'(\'{0,2})|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[{]|[\]}]|\n',
    re.DOTALL,
)
"""What decides where a statement of TOML ends: strings, comments, brackets and line breaks."""


def value_lines(text: str) -> dict[KeyPath, int]:
    """The first line (from 1) of each value in the valid TOML document `text`.

    A value inside a list or table over several lines has the first line of that list or table.
    """
    result: dict[KeyPath, int] = {}
    last: dict[KeyPath, int] = {}
    """The last index of each array of tables."""
    current: KeyPath = ()
    for line, statement in _statements(text.replace("\r\n", "\n")):
        part = tomllib.loads(statement)
        if statement.startswith("["):
            current = ()
            while isinstance(part, dict) and part:
                (key, part), *_ = part.items()
                current = (*current, key)
                if isinstance(part, list):
                    last[current] = last.get(current, -1) + 1
                if current in last:
                    result.setdefault(current, line)
                    current = (*current, last[current])
                result.setdefault(current, line)
        else:
            for path in _key_paths(part, current):
                result.setdefault(path, line)
    return result


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """The line of the value at `path`, or of the nearest enclosing value; 1 if there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each table header and each assignment, with its first line."""
    begin, begin_line, line, depth = 0, 1, 1, 0
    for token in TOKEN.finditer(f"{text}\n"):
        word = token.group()
        line += word.count("\n")
        depth += (word in ("[", "{")) - (word in ("]", "}"))
        if word == "\n" and depth == 0:
            statement = text[begin : token.start()].strip()
            if statement and not statement.startswith("#"):
                yield begin_line, statement
            begin, begin_line = token.end(), line


def _key_paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _key_paths(item, (*path, key))
