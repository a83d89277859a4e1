"""One JSON line a request on standard error: who, what came of it, how long. Never a token, an address or an input."""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO


class RequestLog:
    """Writes to `stream`; a reader that went away ends the log and not the server."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def write(self, event: str, **facts: object) -> None:
        """One line."""
        try:
            self._stream.write(json.dumps({"at": round(time.time(), 3), "event": event, **facts}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
