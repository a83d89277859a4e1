"""Limits of a connection: the size of a head, the number of requests, and their times."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed (the serve extra)")

import uvicorn

from bl_neuro.deploy.serve import protocol
from bl_neuro.deploy.serve.protocol import MAX_HEAD, MAX_PIPELINED, MAX_REFUSED, BoundedHttp

TIMEOUT_S = 0.4
MUCH = 40 * 2**20
"""Bytes of an answer that no socket's buffer holds."""
ONCE = 256 * 2**10
"""The most that a server receives at once."""


class Impatient(BoundedHttp):
    timeout_s = TIMEOUT_S


class Served:
    """A small application behind the protocol. What it is asked for: /MUCH, /refuse (reads no body), an echo."""

    def __init__(self, most: int = 1024, **tls: Any) -> None:
        self.asked: list[str] = []
        config = uvicorn.Config(
            self._app,
            http=Impatient,
            log_config=None,
            ws="none",
            lifespan="off",
            interface="asgi3",
            limit_concurrency=most,
            **tls,
        )
        self._server = uvicorn.Server(config)
        self._port = socket.create_server(("127.0.0.1", 0))
        self.address = self._port.getsockname()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._port]))

    async def _app(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        self.asked.append(scope["path"])
        body, more = b"", scope["path"] != "/refuse"
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        content = bytes(MUCH) if scope["path"] == "/much" else scope["path"].encode() + b" " + body
        length = str(len(content)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": content})

    def wait_for_none(self) -> None:
        """Until the server holds no connection."""
        deadline = time.monotonic() + 20
        while self._server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(TIMEOUT_S / 20)

    def connect(self) -> socket.socket:
        line = socket.create_connection(self.address, timeout=20)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        return line

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._port.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.end()


def rest(line: socket.socket) -> bytes:
    """The remaining bytes until the server closes the connection."""
    got = bytearray()
    try:
        while part := line.recv(2**20):
            got += part
    except ConnectionError:
        pass
    return bytes(got)


def flood(line: socket.socket, start: bytes, more: bytes, most: int = 2**24) -> int:
    """Sends `start`, and then `more` for ever; how many bytes went before the server hung up, or `most`."""
    sent = 0
    try:
        line.sendall(start)
        while sent < most:
            line.sendall(more)
            sent += len(more)
    except ConnectionError:
        pass
    return sent


HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        pytest.param(b"GET /", b"a" * 4096, id="target"),
        pytest.param(HEAD + b"X: ", b"a" * 4096, id="header"),
        pytest.param(HEAD, b"a" * 4096, id="name of a header"),
        pytest.param(HEAD, b"a:\r\n" * 1024, id="headers"),
        pytest.param(CHUNKED + b"1;x=", b"a" * 4096, id="extension of a chunk"),
        pytest.param(CHUNKED, b"0" * 4096, id="size of a chunk"),
        pytest.param(CHUNKED + b"0\r\nX: ", b"a" * 4096, id="trailer"),
        pytest.param(CHUNKED + b"0\r\n", b"a: b\r\n" * 512, id="trailers"),
        pytest.param(b"", b"\r\n" * 2048, id="empty lines"),
    ],
)
def test_unbounded_requests_are_cut_off(start: bytes, more: bytes, served: Served) -> None:
    with served.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        began = time.monotonic()
        sent = flood(line, start, more)
        assert sent < MAX_HEAD + ONCE + 2 * 2**20  # what the sockets' buffers took besides
        assert not rest(line)
    assert time.monotonic() - began < 10


def test_the_bound_of_a_head_is_sharp(served: Served) -> None:
    def response(size: int) -> bytes:
        with served.connect() as line:
            line.sendall(HEAD + b"Connection: close\r\nX: " + b"a" * size + b"\r\n\r\n")
            return rest(line)

    assert response(MAX_HEAD - 300).startswith(b"HTTP/1.1 200")
    assert response(MAX_HEAD) == b""


def test_short_headers_count_for_what_they_cost(served: Served) -> None:
    with served.connect() as line:
        line.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 4000 + b"\r\n")
        assert rest(line) == b""


def test_few_requests_wait_behind_one_another(served: Served) -> None:
    with served.connect() as line:
        line.sendall(b"GET /one HTTP/1.1\r\n\r\n" * (MAX_PIPELINED // 2))
        line.sendall(b"GET /two HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert rest(line).count(b"HTTP/1.1 200") == MAX_PIPELINED // 2 + 1
    served.asked.clear()
    with served.connect() as line:
        line.sendall(b"GET /many HTTP/1.1\r\n\r\n" * 5000)
        assert rest(line).count(b"HTTP/1.1 200") <= 1
    assert len(served.asked) <= MAX_PIPELINED


@pytest.mark.parametrize("start", [b"", b"\r\n", b"GE", HEAD, HEAD + b"X: ", b"GET /whole HTTP/1.1\r\n\r\nGET /half"])
@pytest.mark.slow
def test_a_missing_head_times_out(start: bytes, served: Served) -> None:
    began = time.monotonic()
    with served.connect() as line:
        line.sendall(start)
        assert rest(line).count(b"HTTP/1.1 200") == (b"whole" in start)
    assert TIMEOUT_S / 2 < time.monotonic() - began < 10


def test_a_slow_head_times_out(served: Served) -> None:
    with served.connect() as line:
        sent = 0
        try:
            while sent < 10_000:
                line.sendall(b"a" if sent else HEAD)
                sent += 1
                line.settimeout(TIMEOUT_S / 20)
                try:
                    assert not line.recv(1)
                    break
                except TimeoutError:
                    continue
        except ConnectionError:
            pass
    assert 1 < sent < 1000


@pytest.mark.slow
def test_the_rest_of_a_body_that_was_answered_already(served: Served) -> None:
    start = b"POST /refuse HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n"
    with served.connect() as line:
        line.sendall(start)
        assert rest(line).startswith(b"HTTP/1.1 200")
    with served.connect() as line:
        line.sendall(start)
        assert line.recv(4096).startswith(b"HTTP/1.1 200")
        assert flood(line, b"", b"a" * 64, most=2**60) > 0  # all of them are read, and not for long


@pytest.mark.parametrize("after", [b"", b"GET /next HTTP/1.1\r\n\r\n", b"GET /half"])
@pytest.mark.slow
def test_an_unread_answer_times_out(after: bytes, served: Served) -> None:
    """Data sent meanwhile does not extend the time."""
    with served.connect() as line:
        line.sendall(b"GET /much HTTP/1.1\r\n\r\n")
        assert line.recv(9) == b"HTTP/1.1 "
        line.sendall(after)
        served.wait_for_none()
        assert len(rest(line)) < MUCH


def test_many_unread_answers_time_out(served: Served) -> None:
    with served.connect() as line:
        sent = flood(line, b"", b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n\r\n", most=2**28)
        assert sent < 2**28
        served.wait_for_none()


@pytest.mark.slow
def test_a_slow_reader_gets_its_answer(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MIN_READ", 2**16)
    began, taken = time.monotonic(), 0
    with served.connect() as line:
        line.sendall(b"GET /much HTTP/1.1\r\nConnection: close\r\n\r\n")
        while part := line.recv(2**20):
            taken += len(part)
            if taken % 7 == 0:
                time.sleep(TIMEOUT_S / 20)
    assert taken > MUCH
    assert time.monotonic() - began > TIMEOUT_S


@pytest.mark.slow
def test_well_formed_requests_are_served(served: Served) -> None:
    client = http.client.HTTPConnection(served.address[0], served.address[1], timeout=20)
    for turn in range(3):  # one connection, kept
        client.request("POST", f"/echo{turn}", iter([b"ab", b"c" * 200_000]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        answered = client.getresponse()
        assert (answered.status, len(answered.read())) == (200, 7 + 200_002)
        time.sleep(0.75 * TIMEOUT_S)
    client.request("POST", "/long", b"b" * 2**21)
    assert len(client.getresponse().read()) == 6 + 2**21
    client.close()


@pytest.mark.slow
def test_idle_connections_are_kept(served: Served) -> None:
    """Between requests the server waits for longer than the timeout."""
    with served.connect() as line:
        for _ in range(2):
            line.sendall(b"GET /idle HTTP/1.1\r\n\r\n")
            line.settimeout(20)
            got = b""
            while not got.endswith(b"/idle "):
                got += line.recv(4096)
            line.settimeout(1.5 * TIMEOUT_S)
            with pytest.raises(TimeoutError):
                line.recv(1)


def test_excess_connections_are_refused_and_earlier_ones_served() -> None:
    made = Served(most=4)
    lines = [made.connect() for _ in range(4 + MAX_REFUSED)]
    try:
        with made.connect() as one_more:
            assert rest(one_more) == b""
        lines[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert rest(lines[-1]).startswith(b"HTTP/1.1 503")
        lines[0].sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert rest(lines[0]).startswith(b"HTTP/1.1 200")
        for line in lines:
            line.close()
        made.wait_for_none()
        with made.connect() as line:
            line.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert rest(line).startswith(b"HTTP/1.1 200")
    finally:
        for line in lines:
            line.close()
        made.end()


@pytest.mark.slow
def test_over_tls_a_farewell_needs_two_and_does_not_wait_for_the_second(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed (the test extra)")
    authority, pem = trustme.CA(), tmp_path / "pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    made = Served(ssl_certfile=pem, ssl_keyfile=pem)
    try:
        with context.wrap_socket(made.connect(), server_hostname="127.0.0.1") as line:
            line.sendall(b"GET /bye HTTP/1.1\r\nConnection: close\r\n\r\n")
            got = b""
            while not got.endswith(b"/bye "):
                got += line.recv(4096)
            made.wait_for_none()
    finally:
        made.end()
