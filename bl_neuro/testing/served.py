"""Runs `bl-neuro serve` in another process, on a free port of this machine, for tests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bl_neuro.remote import RemoteBlackBox


class Server:
    """A server of a model file. root, url: its addresses. lines: its log."""

    def __init__(self, model: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "bl_neuro", "serve", str(model), "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._up = threading.Event()
        self._port = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._up.wait(240)
        if not self._port:
            raise AssertionError("".join(self.lines))
        self.root = f"http://127.0.0.1:{self._port}"
        self.url = f"{self.root}/v2/models/{model.stem}"

    def _read(self) -> None:
        stderr = self.process.stderr
        if stderr is None:
            return
        for line in stderr:
            self.lines.append(line)
            facts: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            self._port = facts.get("port", self._port)
            if facts.get("event") == "ready":
                self._up.set()
        stderr.close()
        self._up.set()

    def box(self, **options: Any) -> RemoteBlackBox:
        """A black box that queries the server."""
        return RemoteBlackBox(self.url, **options)

    def kill(self) -> None:
        """Kills the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Terminates the server with SIGTERM and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(10)
        return code
