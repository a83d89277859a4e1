"""Reading a request's body: not too long, not too slow, never compressed, and no more of them at once than fit."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from bl_neuro.deploy.serve.problem import Problem, busy

SMALL = 64 * 2**10
"""Bytes of a request that finds room where larger ones do not."""


class BodyReader:
    """Reads bodies of at most `most` bytes, `room` bytes of them at once: those that came, not those announced.

    One client has half of the room at most, and an eighth is kept for small requests.
    """

    def __init__(self, most: int, room: int) -> None:
        self._most, self._all = most, max(room, 4 * most)
        self._held: Counter[str] = Counter()
        self._taking = threading.Lock()

    @contextmanager
    def space(self, request: Request, client: str) -> Iterator[Callable[[int], None]]:
        """Room, in bytes, for what `request` brings and needs: it is had by the call, and given back at the end."""
        self._check_announced(request)
        held, ended = 0, False

        def take(size: int) -> None:
            nonlocal held
            with self._taking:
                if ended:  # its deadline passed while a thread still read it
                    raise busy("the deadline passed")
                kept = 0 if held + size <= SMALL else self._all // 8
                if self._held[client] + size > self._all // 2 or self._held.total() + size > self._all - kept:
                    raise busy("too many large requests at once")
                self._held[client] += size
                held += size

        try:
            yield take
        finally:
            with self._taking:
                ended = True
                self._held[client] -= held
                if not self._held[client]:
                    del self._held[client]

    def _check_announced(self, request: Request) -> None:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "compressed", "Content-Encoding: expected none")
        length = request.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
            raise self._too_large()
        if length is not None and int(length) > self._most:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return Problem(413, "too_large", f"expected a body of at most {self._most} bytes")

    async def read(self, request: Request, take: Callable[[int], None]) -> bytes:
        """The whole body. take: see `space`."""
        parts, held = [], 0
        try:
            async for part in request.stream():
                held += len(part)
                if held > self._most:
                    raise self._too_large()
                take(len(part))
                parts.append(part)
        except ClientDisconnect as error:
            raise Problem(400, "disconnected", "the body did not come to its end") from error
        return b"".join(parts)
