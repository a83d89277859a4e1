"""HTTP on one connection, bounded: what a client may send before it says anything, and how long it may take.

Uvicorn's protocol around the parser llhttp, which has no bounds of its own on the size of a request's head, and no
timeout of one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADERS = 64 * 2**10
"""Bytes of a request's head, and of anything that the parser keeps to itself: an endless header, trailer or chunk."""
PATIENCE_S = 30.0
"""Seconds for a head, for the rest of a body that was answered before its end, and for taking an answer."""


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a connection that sends too large a head, or is too slow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes of the head so far."""
        self._silent = 0
        """Bytes since the parser last reported something."""
        self._between = True
        """Whether no request is on its way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: it should say something."""
        super().connection_made(transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client, or we, hung up."""
        self._no_hurry()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self._between and self._timer is None:
            self._hurry()
        self._silent += len(data)
        super().data_received(data)
        if max(self._silent, self._head) > MOST_HEADERS:
            self._hang_up()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._between = False
        self._head = self._silent = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of its target."""
        self._report(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._report(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; the endpoint sees to the time of the body."""
        self._silent = 0
        self._no_hurry()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._between = True
        self._silent = 0
        self._no_hurry()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It was answered, perhaps before it was whole."""
        super().on_response_complete()
        if not self._between:
            self._hurry()

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        self._hurry()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does."""
        self._no_hurry()
        super().resume_writing()

    def _report(self, size: int) -> None:
        self._silent = 0
        self._head += size

    def _hurry(self) -> None:
        self._no_hurry()
        self._timer = self.loop.call_later(PATIENCE_S, self._hang_up)

    def _no_hurry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        self._no_hurry()
        self.transport.abort()
