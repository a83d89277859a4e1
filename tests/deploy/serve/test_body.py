"""Bodies reserve memory as they arrive: a large announced length does not block other clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="starlette is not installed (the serve extra)")

from starlette.requests import Request

from bl_neuro.deploy.serve.problem import Problem
from bl_neuro.deploy.serve.request import SMALL, BodyReader


def request(*parts: bytes | None, **headers: str) -> Request:
    """One whose body comes in `parts`; None is a client that goes away."""
    left: Iterator[bytes | None] = iter(parts)
    count = len(parts)

    async def receive() -> Any:
        nonlocal count
        count -= 1
        part = next(left)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": count > 0}

    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": listed}, receive)


def read(reader: BodyReader, asked: Request, client: str = "a") -> bytes:
    with reader.space(asked, client) as take:
        return asyncio.run(reader.read(asked, take))


def test_a_body_in_parts() -> None:
    assert read(BodyReader(10, 10), request(b"abc", b"", b"def")) == b"abcdef"
    assert read(BodyReader(10, 10), request(b"abc", content_length="10")) == b"abc"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(b"a" * 11), 413),
        (request(b"a" * 6, b"a" * 5), 413),
        (request(content_length="11"), 413),
        (request(content_length="1" * 5000), 413),
        (request(content_length="-1"), 413),
        (request(content_length="x"), 413),
        (request(content_encoding="gzip"), 415),
        (request(content_encoding="identity", content_length="11"), 413),
        (request(b"a", None), 400),
    ],
)
def test_invalid_bodies_are_refused(asked: Request, status: int) -> None:
    reader = BodyReader(10, 10)
    with pytest.raises(Problem) as refused:
        read(reader, asked)
    assert refused.value.status == status
    assert read(reader, request(b"a" * 10)) == b"a" * 10  # all room was given back


def test_memory_is_reserved_for_received_bytes_only() -> None:
    reader = BodyReader(10, 40)
    large = [reader.space(request(content_length="10"), "a") for _ in range(5)]
    takes = [body.__enter__() for body in large]
    assert read(reader, request(b"a" * 10)) == b"a" * 10  # they announced 50, and sent nothing
    takes[0](10)
    assert read(reader, request(b"a" * 10)) == b"a" * 10
    with pytest.raises(Problem) as refused:
        read(reader, request(b"a" * 6, b"a" * 5))
    assert refused.value.status == 413
    for body in large:
        body.__exit__(None, None, None)
    assert read(reader, request(b"a" * 10)) == b"a" * 10


def test_one_client_leaves_room_for_others_and_large_requests_for_small_ones() -> None:
    most = 4 * SMALL
    reader = BodyReader(most, 4 * most)
    with reader.space(request(), "greedy") as first, reader.space(request(), "greedy") as second:
        first(most)
        second(most)
        with pytest.raises(Problem, match="too many large requests") as refused:
            read(reader, request(b"a"), "greedy")
        assert refused.value.status == 503
        assert read(reader, request(b"a" * SMALL), "modest") == b"a" * SMALL
        with reader.space(request(), "modest") as third:
            third(most)
            with pytest.raises(Problem):
                third(most)  # what is left then is for small ones
            assert read(reader, request(b"a" * SMALL), "third") == b"a" * SMALL


def test_memory_cannot_be_reserved_after_the_body_ended() -> None:
    reader = BodyReader(10, 40)
    with reader.space(request(), "a") as take:
        take(5)
    with pytest.raises(Problem):
        take(5)
    assert all(read(reader, request(b"a" * 10)) for _ in range(10))
