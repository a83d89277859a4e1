"""Request log: one JSON line per request on standard error, with client, status and duration.

Tokens, addresses and inputs are never logged.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from typing import TextIO

MAX_LINES = 4096
"""Maximum number of lines that wait for a slow reader; further ones are dropped and counted."""
CLOSE_S = 2.0
"""Seconds allowed for writing the remaining lines when the log is closed."""


class RequestLog:
    """Writes to `stream` in a thread, so that a slow or vanished reader never blocks the server."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = sys.stderr if stream is None else stream
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def write(self, event: str, **facts: object) -> None:
        """Writes one line."""
        dropped = {"dropped": self._dropped} if self._dropped else {}
        line = json.dumps({"at": round(time.time(), 3), "event": event, **facts, **dropped})
        try:
            self._lines.put_nowait(line)
            self._dropped = 0
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Writes the waiting lines, for at most a few seconds, and ends the thread."""
        try:
            self._lines.put(None, timeout=CLOSE_S)
        except queue.Full:
            return
        self._thread.join(CLOSE_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._stream is None:  # it is closed, or the reader is gone
                continue
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None
