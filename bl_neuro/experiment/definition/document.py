"""Parts of a TOML document as it was read, of whatever types they may be."""

from __future__ import annotations

from typing import Any


def table(value: Any) -> dict[str, Any]:
    """`value` where it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def tables(document: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of the list `name`, each with its number."""
    values = document.get(name)
    return [(i, each) for i, each in enumerate(values if isinstance(values, list) else []) if isinstance(each, dict)]


def strings(value: Any) -> list[str]:
    """The strings in `value` where it is a list, else none."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
