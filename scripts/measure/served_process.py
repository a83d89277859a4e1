"""One `bl-neuro serve` in a process of its own, for scripts that measure it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Served:
    """A server that answers. pid: of its process. url: of its model. lines: what it said since it was ready."""

    pid: int
    url: str
    lines: list[dict[str, Any]]


@contextmanager
def served(model: Path, backend: str, log: Path, *options: str, env: Mapping[str, str] = {}) -> Iterator[Served]:
    """Serves `model` on a free port until the block ends. env: more of the environment.

    Raises:
        RuntimeError: it ended before it was ready.
    """
    command = [sys.executable, "-m", "bl_neuro", "serve", str(model), "--backend", backend, "--port", "0"]
    command += ["--log", str(log), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}) as process:
        assert process.stderr is not None
        facts: dict[str, Any] = {}
        for line in process.stderr:
            facts |= json.loads(line) if line.startswith("{") else {"said": line.strip()}
            if facts.get("event") == "ready":
                break
        else:
            raise RuntimeError(f"the server ended before it was ready: {facts.get('said')}")
        lines: list[dict[str, Any]] = []
        stderr = process.stderr
        reading = threading.Thread(target=lambda: lines.extend(map(json.loads, stderr)))
        reading.start()
        try:
            yield Served(process.pid, f"http://127.0.0.1:{facts['port']}/v2/models/{model.stem}", lines)
        finally:
            process.terminate()
            process.wait()
            reading.join()
