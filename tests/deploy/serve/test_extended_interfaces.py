"""The interfaces of uvicorn, Starlette, httptools and urllib3 that the endpoint extends still exist.

They are not all documented, so a new version may change them; `pyproject.toml` bounds the versions.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import httptools
import pytest
import urllib3
import uvicorn
from starlette.routing import Router
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bl_neuro.deploy.serve.protocol import BoundedHttp
from bl_neuro.remote import transport

EXTENDED = (
    "connection_lost",
    "connection_made",
    "data_received",
    "on_body",
    "on_header",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "on_url",
    "pause_writing",
    "resume_writing",
    "send_400_response",
    "timeout_keep_alive_handler",
)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_list_of_extended_methods_is_complete() -> None:
    public = {name for name, value in vars(BoundedHttp).items() if inspect.isfunction(value) and name[0] != "_"}
    assert public == set(EXTENDED)


@pytest.mark.parametrize("name", EXTENDED)
def test_every_method_of_uvicorn_that_is_extended_takes_the_same_arguments(name: str) -> None:
    assert parameters(getattr(HttpToolsProtocol, name)) == parameters(getattr(BoundedHttp, name))


def test_uvicorns_protocol_has_the_attributes_that_are_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async def made() -> HttpToolsProtocol:
        config = uvicorn.Config(app, limit_concurrency=3, log_config=None, ws="none")
        config.load()
        state = ServerState()
        protocol = HttpToolsProtocol(config=config, server_state=state, app_state={})
        assert protocol.connections is state.connections
        return protocol

    protocol = asyncio.run(made())
    assert protocol.limit_concurrency == 3
    assert len(protocol.pipeline) == 0
    assert isinstance(protocol.parser, httptools.HttpRequestParser)
    assert protocol.transport is None
    assert protocol.cycle is None
    assert isinstance(protocol.loop, asyncio.AbstractEventLoop)
    assert "response_complete" in inspect.getsource(RequestResponseCycle.__init__)


def test_uvicorn_and_starlette_take_the_arguments_that_are_given() -> None:
    given = {"http", "ws", "lifespan", "log_config", "log_level", "access_log", "server_header", "proxy_headers"}
    given |= {"limit_concurrency", "backlog", "timeout_keep_alive", "timeout_graceful_shutdown"}
    given |= {"ssl_certfile", "ssl_keyfile", "ssl_version"}
    assert given <= set(parameters(uvicorn.Config))
    assert "sockets" in parameters(uvicorn.Server.run)
    assert {"routes", "redirect_slashes", "default", "lifespan"} <= set(parameters(Router))


def test_urllib3s_connections_have_what_the_client_replaces() -> None:
    assert parameters(HTTPConnection.request)[:3] == ["self", "method", "url"]
    assert isinstance(HTTPConnection.is_closed, property)
    assert HTTPConnectionPool.ConnectionCls is HTTPConnection
    assert HTTPSConnectionPool.ConnectionCls is HTTPSConnection
    assert set(urllib3.PoolManager().pool_classes_by_scheme) == {"http", "https"}
    pool = transport.pool(1.0, None).connection_from_url("http://127.0.0.1:9")
    assert type(pool).__module__ == transport.__name__
