"""Reading a request's body: not too long, not too slow, never compressed, and no more of them at once than fit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from bl_neuro.deploy.serve.problem import Problem, busy


class BodyReader:
    """Reads bodies of at most `most` bytes, `room` bytes of them at once."""

    def __init__(self, most: int, room: int) -> None:
        self._most, self._room = most, max(room, most)

    @contextmanager
    def space(self, request: Request) -> Iterator[int]:
        """Room for the body of `request`, which is given back at the end; its most bytes."""
        size = self._announced(request)
        if size > self._room:
            raise busy("too many large requests at once")
        self._room -= size
        try:
            yield size
        finally:
            self._room += size

    def _announced(self, request: Request) -> int:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "compressed", "Content-Encoding: expected none")
        length = request.headers.get("content-length")
        if length is None:
            return self._most
        if not (length.isascii() and length.isdigit()) or len(length) > 15 or int(length) > self._most:
            raise Problem(413, "too_large", f"expected a body of at most {self._most} bytes")
        return int(length)

    async def read(self, request: Request, deadline: float) -> bytes:
        """The whole body. deadline: on the monotonic clock."""
        try:
            return await asyncio.wait_for(self._all(request), max(0.0, deadline - time.monotonic()))
        except asyncio.TimeoutError as error:
            raise Problem(408, "slow", "the body did not come in time") from error
        except ClientDisconnect as error:
            raise Problem(400, "disconnected", "the body did not come to its end") from error

    async def _all(self, request: Request) -> bytes:
        parts, held = [], 0
        async for part in request.stream():
            held += len(part)
            if held > self._most:
                raise Problem(413, "too_large", f"expected a body of at most {self._most} bytes")
            parts.append(part)
        return b"".join(parts)
