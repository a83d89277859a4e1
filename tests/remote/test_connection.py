"""Connections that fail, or that are not secure."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

from bl_neuro.errors import EndpointProtocolError, EndpointRefused, EndpointUnavailable, InputError, TokenInTheClear
from bl_neuro.remote.connection import Connection

trustme = pytest.importorskip("trustme", reason="trustme is not installed (the test extra)")


class Balancer(ThreadingHTTPServer):
    """HTTPS; hangs up on the first `away` connections, before any handshake. A path /lost is heard and not answered."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority = str(folder / "authority.pem")
        authority.cert_pem.write_to_path(self.authority)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.context)
        self.away = self.connections = 0
        self.heard: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append(self.path)
                if self.path == "/lost":  # without TLS's goodbye
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *words: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"https://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[Any, Any]:
        line, address = super().get_request()
        self.connections += 1
        if self.connections <= self.away:
            line.close()
            raise OSError
        return self.context.wrap_socket(line, server_side=True), address


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Balancer]:
    made = Balancer(tmp_path)
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_dropped_handshake_is_tried_again(balancer: Balancer) -> None:
    """Nothing was sent, so also where the endpoint knows no keys."""
    balancer.away = 2
    connection = Connection(balancer.base, None, 5.0, 5.0, balancer.authority)
    assert connection.post("/asked", b"query", {}, repeatable=False, max_bytes=100).body == b"{}"
    assert (balancer.connections, balancer.heard) == (3, ["/asked"])
    balancer.away = 10**6
    impatient = Connection(balancer.base, None, 5.0, 0.1, balancer.authority)
    with pytest.raises(EndpointUnavailable, match="cannot be reached"):
        impatient.post("/asked", b"query", {}, repeatable=False, max_bytes=100)
    for client in (connection, impatient):
        client.close()


def test_an_answer_that_is_lost_over_tls_is_lost(balancer: Balancer) -> None:
    connection = Connection(balancer.base, None, 5.0, 0.1, balancer.authority)
    with pytest.raises(EndpointUnavailable, match="may have been answered"):
        connection.post("/lost", b"query", {}, repeatable=False, max_bytes=100)
    assert balancer.heard == ["/lost"]
    with pytest.raises(EndpointUnavailable, match="the connection broke"):
        connection.post("/lost", b"query", {}, repeatable=True, max_bytes=100)
    assert len(balancer.heard) > 1
    connection.close()


def test_certificates_and_protocols_are_final(balancer: Balancer, foreign: Any) -> None:
    stranger = Connection(balancer.base, None, 5.0, 5.0)
    with pytest.raises(EndpointRefused, match=r"TLS failed.*give the PEM file"):
        stranger.get("/v2")
    assert balancer.connections == 1
    plain = foreign.url.replace("http://", "https://").partition("/v2")[0]
    with pytest.raises(EndpointRefused, match="TLS failed"):
        Connection(plain, None, 5.0, 5.0).get("/v2")


def test_a_large_request_may_take_longer_than_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system takes without a reader is less than this."""
    monkeypatch.setattr("bl_neuro.remote.transport.CONNECT_S", 0.2)
    size, never = 2**25, threading.Event()

    def slowly() -> None:
        line, _ = server.accept()
        with line:
            never.wait(0.5)
            got = 0
            while got < size and (part := line.recv(2**20)):
                got += len(part)
            line.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        reader = threading.Thread(target=slowly)
        reader.start()
        connection = Connection(f"http://127.0.0.1:{server.getsockname()[1]}", None, 30.0, 0.0)
        assert connection.post("/", bytes(size), {}, repeatable=False, max_bytes=100).body == b"{}"
        reader.join()
        connection.close()


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan"), float("inf")])
def test_invalid_timeouts_are_refused(timeout_s: float) -> None:
    with pytest.raises(InputError, match="timeout_s: expected"):
        Connection("http://127.0.0.1:9", None, timeout_s, 1.0)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.7:8000", "[2001:db8::1]", "0.0.0.0", "localhost.example.com"])
def test_a_token_in_the_clear_is_warned_of(host: str) -> None:
    with pytest.warns(TokenInTheClear, match=r"sent unencrypted.*use https"):
        Connection(f"http://{host}", "a-token", 1.0, 1.0)


@pytest.mark.parametrize(
    ("base", "token"),
    [
        ("http://example.com", None),
        ("https://example.com", "a-token"),
        ("http://127.0.0.1:8000", "a-token"),
        ("http://127.8.8.8", "a-token"),
        ("http://localhost:8000", "a-token"),
        ("http://LOCALHOST:8000", "a-token"),
        ("http://[::1]:8000", "a-token"),
    ],
)
def test_protected_and_local_connections_give_no_warning(base: str, token: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Connection(base, token, 1.0, 1.0)


def test_text_from_the_endpoint_is_escaped() -> None:
    assert str(EndpointProtocolError("a\x1b[31mb")) == "a\\x1b[31mb"
    assert str(EndpointRefused("a\x07", "code")) == "a\\x07"
