"""One JSON line a request on standard error: who, what came of it, how long. Never a token, an address or an input."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from typing import TextIO

MOST_WAITING = 4096
"""Lines that wait for a slow reader; further ones are dropped and counted."""
LAST_S = 2.0
"""Seconds that the last lines have."""


class RequestLog:
    """Writes to `stream`, in a thread: a reader that is slow, or went away, stops the log and not the server."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def write(self, event: str, **facts: object) -> None:
        """One line."""
        dropped = {"dropped": self._dropped} if self._dropped else {}
        line = json.dumps({"at": round(time.time(), 3), "event": event, **facts, **dropped})
        try:
            self._lines.put_nowait(line)
            self._dropped = 0
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Writes what waits, if that is soon done."""
        try:
            self._lines.put(None, timeout=LAST_S)
        except queue.Full:
            return
        self._thread.join(LAST_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads it any more
                self._stream = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
