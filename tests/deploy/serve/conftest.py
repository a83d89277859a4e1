"""A real server process on a free port of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.testing.reference_target import easy_network
from bl_neuro.testing.served import Server

for library in ("httptools", "prometheus_client", "starlette", "urllib3", "uvicorn"):
    pytest.importorskip(library, reason=f"{library} is not installed (the serve extra)")


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def launch() -> type[Server]:
    """Makes a server of a model file."""
    return Server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of a network; all are ended with the test."""
    servers: list[Server] = []

    def started(network: bl.Network, *arguments: str) -> Server:
        model = tmp_path / "model.safetensors"
        if not model.exists():
            bl.save(network, model)
        server = Server(model, "--log", str(tmp_path / "queries.sqlite"), *arguments)
        servers.append(server)
        return server

    yield started
    for server in servers:
        if server.process.poll() is None:
            server.end()


@pytest.fixture(scope="session")
def easy() -> bl.Network:
    """Twelve inputs, three classes."""
    return easy_network()
