"""HTTP on one connection, bounded: what a client may send before it says anything, and how long it may take.

Uvicorn's protocol around the parser llhttp, which has no bounds of its own on the size of a request's head or on how
many requests wait behind one another, and no timeout of a head, of an answer or of a farewell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADERS = 64 * 2**10
"""Bytes of a request's head, and of anything that the parser keeps to itself: an endless header, trailer or chunk."""
HEADER_COST = 32
"""What a header counts for besides its bytes, as in HTTP/2: many short ones fill the memory too."""
MOST_TURNED_AWAY = 64
"""Connections above the server's limit that are told so (503); others are hung up on. Those below it stay served."""
MOST_PIPELINED = 16
"""Requests that wait on one connection for the answer to another."""
LEAST_TAKEN = 2**20
"""Bytes of an answer that a client takes within the patience, unless it takes all of it."""


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a connection that sends too large a head or too many at once, or is too slow."""

    patience_s: ClassVar[float] = 30.0
    """Seconds for a head, for the rest of a body that was answered before its end, for taking an answer, for an end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._request = _Timer(self.loop, self.patience_s, self._hang_up)
        """For what the client is to send."""
        self._answer = _Timer(self.loop, self.patience_s, self._is_it_taken)
        """For what it is to take."""
        self._farewell = _Timer(self.loop, self.patience_s, self._is_it_gone)
        """For the end of a connection that was closed: over TLS, the client is asked to agree."""
        self._untaken = 0
        """Bytes of an answer that were left when `_answer` began."""
        self._head = 0
        """Size of the head so far."""
        self._silent = 0
        """Bytes since the parser last reported something."""
        self._between = True
        """Whether no request is on its way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: it should say something."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # whatever is not taken at once is waited for, and not for long
        self._request.start()
        if self.limit_concurrency is not None:
            above = len(self.connections) - self.limit_concurrency
            self.limit_concurrency = 0 if above > 0 else None  # of this connection: no request is answered, or each is
            if above > MOST_TURNED_AWAY:
                self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client, or we, hung up."""
        for timer in (self._request, self._answer, self._farewell):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self._between:
            self._request.go_on()
        self._silent += len(data)
        super().data_received(data)
        if self._silent > MOST_HEADERS:
            self._hang_up()

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse()
        self._between = False
        self._head = self._silent = 0
        self._request.go_on()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of its target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._count(len(name) + len(value) + HEADER_COST)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; the endpoint sees to the time of the body."""
        self._silent = 0
        self._request.stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._between = True
        self._silent = 0
        self._request.stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered, perhaps before it was whole."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._farewell.start()
        elif not self._between and self.cycle.response_complete:
            self._request.start()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        super().send_400_response(msg)
        self._farewell.start()

    def timeout_keep_alive_handler(self) -> None:
        """No other request came."""
        super().timeout_keep_alive_handler()
        self._farewell.start()

    def pause_writing(self) -> None:
        """The client does not take its answer, or not at once."""
        self._untaken = self.transport.get_write_buffer_size()
        self._answer.start()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken all of it."""
        self._answer.stop()
        super().resume_writing()

    def _count(self, size: int) -> None:
        self._silent = 0
        self._head += size
        if self._head > MOST_HEADERS:
            self._refuse()

    def _is_it_taken(self) -> None:
        left = self.transport.get_write_buffer_size()
        if self._untaken - left < LEAST_TAKEN:
            return self._hang_up()
        self._untaken = left
        self._answer.start()

    def _is_it_gone(self) -> None:
        if not self.transport.get_write_buffer_size():
            return self._hang_up()
        self._farewell.start()  # `_answer` sees to what is still to be taken

    def _refuse(self) -> None:
        """Hangs up and ends the parser, which may hold a thousand more requests."""
        self._hang_up()
        raise ConnectionAbortedError

    def _hang_up(self) -> None:
        self.transport.abort()


class _Timer:
    """Calls `ended` once, `seconds` after it was started, unless it is stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, ended: Callable[[], None]) -> None:
        self._loop, self._seconds, self._ended = loop, seconds, ended
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on."""
        self.stop()
        self._handle = self._loop.call_later(self._seconds, self._ended)

    def go_on(self) -> None:
        """From now on, unless it runs already."""
        if self._handle is None:
            self.start()

    def stop(self) -> None:
        """Not any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
