"""HTTP on one connection, with bounds on the size of a request's head, on pipelined requests, and on all durations.

Extends uvicorn's protocol around the parser llhttp, which bounds neither the size of a request's head nor the number of
pipelined requests, and has no timeout for receiving a head, for sending an answer or for closing a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 2**10
"""Maximum bytes of a request's head, and of data that the parser buffers without reporting it (an endless header,
trailer or chunk)."""
HEADER_COST = 32
"""Bytes added to the size of each header, as in HTTP/2, since many short headers fill the memory as well."""
MAX_REFUSED = 64
"""Number of connections above the server's limit that are answered with 503; further ones are closed at once."""
MAX_PIPELINED = 16
"""Maximum number of requests on one connection that wait for the answer to an earlier one."""
MIN_READ = 2**20
"""Bytes of an answer that a client must read within the timeout, unless it reads all of it."""


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose client sends too large a head or too many requests at once, or is too slow."""

    timeout_s: ClassVar[float] = 30.0
    """Seconds for a head, for the rest of a body that was answered early, for reading an answer, and for closing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._request = _Timer(self.loop, self.timeout_s, self._hang_up)
        """Runs while the client has to send something."""
        self._answer = _Timer(self.loop, self.timeout_s, self._check_progress)
        """Runs while the client has to read an answer."""
        self._closing = _Timer(self.loop, self.timeout_s, self._check_closed)
        """Runs while a connection is being closed; over TLS the client has to acknowledge this."""
        self._unread = 0
        """Bytes of an answer that were unread when `_answer` started."""
        self._head = 0
        """Bytes of the head received so far."""
        self._unparsed = 0
        """Bytes received since the parser last reported something."""
        self._idle = True
        """Whether no request is being received."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected and has to send a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that every unread byte starts the timeout
        self._request.start()
        if self.limit_concurrency is not None:
            above = len(self.connections) - self.limit_concurrency
            self.limit_concurrency = 0 if above > 0 else None  # per connection: refuses either all requests or none
            if above > MAX_REFUSED:
                self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was closed."""
        for timer in (self._request, self._answer, self._closing):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request arrived."""
        if self._idle:
            self._request.go_on()
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MAX_HEAD:
            self._hang_up()

    def on_message_begin(self) -> None:
        """A request starts."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse()
        self._idle = False
        self._head = self._unparsed = 0
        self._request.go_on()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the request's target arrived."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer arrived."""
        self._count(len(name) + len(value) + HEADER_COST)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete; the endpoint limits the time for the body."""
        self._unparsed = 0
        self._request.stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body arrived."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._idle = True
        self._unparsed = 0
        self._request.stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered, possibly before it was complete."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._closing.start()
        elif not self._idle and self.cycle.response_complete:
            self._request.start()

    def send_400_response(self, msg: str) -> None:
        """The received data is not valid HTTP."""
        super().send_400_response(msg)
        self._closing.start()

    def timeout_keep_alive_handler(self) -> None:
        """No further request arrived in time."""
        super().timeout_keep_alive_handler()
        self._closing.start()

    def pause_writing(self) -> None:
        """The client has not yet read its answer."""
        self._unread = self.transport.get_write_buffer_size()
        self._answer.start()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read all of its answer."""
        self._answer.stop()
        super().resume_writing()

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > MAX_HEAD:
            self._refuse()

    def _check_progress(self) -> None:
        left = self.transport.get_write_buffer_size()
        if self._unread - left < MIN_READ:
            return self._hang_up()
        self._unread = left
        self._answer.start()

    def _check_closed(self) -> None:
        if not self.transport.get_write_buffer_size():
            return self._hang_up()
        self._closing.start()  # the timer `_answer` handles unread data

    def _refuse(self) -> None:
        """Closes the connection and stops the parser, which may hold many more requests."""
        self._hang_up()
        raise ConnectionAbortedError

    def _hang_up(self) -> None:
        self.transport.abort()


class _Timer:
    """Calls `ended` once, `seconds` after the start, unless it is stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, ended: Callable[[], None]) -> None:
        self._loop, self._seconds, self._ended = loop, seconds, ended
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts the timer, or restarts it."""
        self.stop()
        self._handle = self._loop.call_later(self._seconds, self._ended)

    def go_on(self) -> None:
        """Starts the timer unless it is running."""
        if self._handle is None:
            self.start()

    def stop(self) -> None:
        """Stops the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
