"""Finds the line of each value in a TOML file, which TOML parsers do not report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath = tuple[str | int, ...]
"""The path of a value: names of tables and keys, and list indices, such as ("attacks", 0, "budget")."""


def value_lines(text: str) -> dict[KeyPath, int]:
    """The first line (from 1) of each value in the valid TOML document `text`.

    The document is parsed after each line as if it ended there. New values belong to the lines since the last
    successful parse. A value inside a list or table over several lines has the first line of that list or table.
    """
    result: dict[KeyPath, int] = {}
    lines = text.splitlines()
    begin = 0
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            begin = number + 1 if begin == number else begin
            continue
        try:
            document = tomllib.loads("\n".join(lines[: number + 1]))
        except tomllib.TOMLDecodeError:
            continue  # within a value of several lines
        for path in _key_paths(document, ()):
            result.setdefault(path, begin + 1)
        begin = number + 1
    return result


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """The line of the value at `path`, or of the nearest enclosing value; 1 if there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _key_paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _key_paths(item, (*path, key))
