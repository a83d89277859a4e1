"""The one budget of memory, time and entries for reading data files, of every format.

Memory: all values that are read from files together, as they are kept, may take `SLACK_BYTES` + `GROWTH` x the size of
the files on disk. A user who trusts the data can raise this with the environment variable `VARIABLE`. Entries: a folder
has at most `MOST_ENTRIES` files, an archive `MOST_MEMBERS` arrays, a recording `MOST_EVENTS` events and an image
`MOST_PIXELS` pixels. Time: within these bounds, a file takes at most `MOST_SECONDS`. What exceeds the budget is refused
from its header, before memory is taken.
"""

from __future__ import annotations

import os

from bl_neuro.errors import DataError, InputError

SLACK_BYTES = 2**28
GROWTH = 16
"""Values may take SLACK_BYTES + GROWTH x the size of the files on disk."""
MOST_ENTRIES = 2**20
"""Maximum number of files of a folder."""
MOST_MEMBERS = 64
"""Maximum number of arrays of an archive."""
MOST_EVENTS = 2**21
"""Maximum number of events of a recording."""
MOST_PIXELS = 2**24
"""Maximum number of pixels of an image."""
MOST_SECONDS = 5.0
"""Maximum processor time for a file; the limits above are chosen so that no file exceeds it."""
VARIABLE = "BL_NEURO_READ_MIB"
"""The environment variable for the memory, in MiB, that values of data files may take at least."""


def memory_budget(file_bytes: int) -> int:
    """Bytes that the values of files with `file_bytes` bytes on disk may take.

    Raises:
        InputError: the environment variable is not a positive whole number.
    """
    own = SLACK_BYTES + GROWTH * file_bytes
    text = os.environ.get(VARIABLE)
    if not text:
        return own
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise InputError(f"{VARIABLE}: expected a positive number of MiB, found {text[:20]!r}")
    return max(own, int(text) * 2**20)


def need_memory(where: object, wanted: int, file_bytes: int) -> None:
    """Checks that `wanted` bytes of values fit the budget of files with `file_bytes` bytes.

    Raises:
        DataError: they do not; the message names `where` and the variable that raises the budget.
    """
    budget = memory_budget(file_bytes)
    if wanted > budget:
        raise DataError(
            f"{where}: expected at most {budget} bytes of values, for {file_bytes} bytes on disk, found {wanted}; if "
            f"you trust the data, set {VARIABLE}={-(-wanted // 2**20)}"
        )
