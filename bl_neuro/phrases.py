"""Counts and lists in English."""

from __future__ import annotations


def listed(words: list[str], last: str = "and") -> str:
    """`a`, `a and b`, or `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def many(count: int, one: str, several: str | None = None) -> str:
    """`1 pair`, `3 pairs`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def are(count: int) -> str:
    """`1 is`, `3 are`."""
    return f"{count:,} {'is' if count == 1 else 'are'}"
