"""What strangers' files say must not drive the reader's terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with what is not printable escaped, as Python writes it: control sequences, overrides of direction.

    Ends of lines stay.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )
