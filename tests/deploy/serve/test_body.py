"""Bodies take room as they come: who announces much and sends little keeps nobody out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="starlette is not installed (the serve extra)")

from starlette.requests import Request

from bl_neuro.deploy.serve.body import BodyReader
from bl_neuro.deploy.serve.problem import Problem


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


def read(reader: BodyReader, asked: Request) -> bytes:
    with reader.space(asked) as take:
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
def test_what_is_refused(asked: Request, status: int) -> None:
    reader = BodyReader(10, 10)
    with pytest.raises(Problem) as refused:
        read(reader, asked)
    assert refused.value.status == status
    assert read(reader, request(b"a" * 10)) == b"a" * 10  # all room was given back


def test_room_is_for_what_came() -> None:
    reader = BodyReader(10, 15)
    large = [reader.space(request(content_length="10")) for _ in range(5)]
    takes = [each.__enter__() for each in large]
    assert read(reader, request(b"a" * 10)) == b"a" * 10  # they announced 50, and sent nothing
    takes[0](10)
    assert read(reader, request(b"a" * 5)) == b"a" * 5
    with pytest.raises(Problem) as refused:
        read(reader, request(b"a" * 3, b"a" * 3))
    assert refused.value.status == 503
    for each in large:
        each.__exit__(None, None, None)
    assert read(reader, request(b"a" * 10)) == b"a" * 10
