"""Escapes text from untrusted files, so that it cannot control the terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with non-printable characters escaped as in Python, such as control sequences and direction overrides.

    Line breaks are kept.
    """
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )
