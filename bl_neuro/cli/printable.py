"""Escapes text from untrusted files, so that it cannot control the terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with non-printable characters escaped as in Python, such as control sequences and direction overrides.

    Line breaks are kept.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )
