"""A real server process on a free port of this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro.testing.reference_target import easy_network

for library in ("starlette", "uvicorn", "prometheus_client", "urllib3"):
    pytest.importorskip(library, reason=f"{library} is not installed (the serve extra)")


class Server:
    """`bl-neuro serve` in a process of its own; `lines` is what it logged."""

    def __init__(self, model: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "bl_neuro", "serve", str(model), "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._up = threading.Event()
        self._port = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._up.wait(240)
        assert self._port, "".join(self.lines)
        self.root = f"http://127.0.0.1:{self._port}"
        self.url = f"{self.root}/v2/models/{model.stem}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            facts: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            self._port = facts.get("port", self._port)
            if facts.get("event") == "ready":
                self._up.set()
        self.process.stderr.close()
        self._up.set()

    def box(self, **options: Any) -> Any:
        """A black box that asks it."""
        return bl.RemoteBlackBox(self.url, **options)

    def kill(self) -> None:
        """As the kernel does when memory ends."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As systemd does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(10)
        return code


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
