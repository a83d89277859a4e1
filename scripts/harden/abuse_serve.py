"""Hostile requests to a server, while a well-formed client checks that its answers stay right.

    python scripts/harden/abuse_serve.py [--requests 50000] [--schemathesis PROGRAM] [--out results/abuse_serve.json]

Our own cases are those of `abuse_cases.py`: wrong shapes, datatypes and values, NaN, huge declared sizes, lying lengths
and bits, compressed bombs, deep nesting, cut, stalled and dribbled bodies, endless heads, chunks and pipelines that are
none, bad tokens, path tricks, wrong methods, mutated bytes of good requests. One that breaks the server can be sent
again (--first n --requests 1). All the while some connections never end their head. With --schemathesis, that program
then fuzzes the OpenAPI description and holds every answer to it (it pins a newer pytest than lava-dl allows, and so
lives elsewhere). Exit 1 where a 5xx is no deliberate 503, the server died, an answer was wrong or not as described, a
connection was kept for too long, or memory grew by over 10% after the first 2000.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import torch
from abuse_cases import POST, SLOW, TOKEN, case_of, send

from bl_neuro.files import write_text

EXAMPLES = 2000
"""Of schemathesis, an operation."""
LURKERS = 64
LURKED = (b"GET /", POST, POST + b"X: ", POST + b"X: y\r\nb")
"""Heads that any number of letters may follow."""
LONGEST_HEAD_S = 40.0
"""The server's patience is 30 s."""


class Honest:
    """A client whose answers must stay right."""

    def __init__(self, url: str, network: Any) -> None:
        import bl_neuro as bl

        self.asked, self.wrong, self.end = 0, 0, threading.Event()
        self._given = torch.rand(6, 3, 12, generator=torch.Generator().manual_seed(0)) < 0.5
        with bl.open_target(network, "loihi") as target:
            self._expected = bl.BlackBox(target).query(self._given)
        self._box = bl.RemoteBlackBox(url, token=TOKEN)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self.end.wait(0.02):
            self.asked += 1
            self.wrong += not torch.equal(self._box.query(self._given), self._expected)

    def stop(self) -> None:
        self.end.set()
        self._thread.join()


class Lurkers:
    """Connections that send one byte of a head a second, and reconnect when they are closed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.hung_up, self.longest_s = 0, 0.0
        self._address, self._end = address, threading.Event()
        self._lines: dict[socket.socket, float] = {}
        self._thread = threading.Thread(target=self._lurk)
        self._thread.start()

    def _lurk(self) -> None:
        while not self._end.wait(1.0):
            for line, began in list(self._lines.items()):
                try:
                    line.send(b"a")
                    ended = line.recv(1) == b""
                except BlockingIOError:
                    ended = False
                except ConnectionError:
                    ended = True
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                if ended:
                    self.hung_up += 1
                    del self._lines[line]
                    line.close()
            while len(self._lines) < LURKERS:
                line = socket.create_connection(self._address, timeout=60)
                line.sendall(LURKED[len(self._lines) % len(LURKED)])
                line.setblocking(False)
                self._lines[line] = time.monotonic()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        for line in self._lines:
            line.close()


def fuzz_openapi(program: str, root: str, folder: Path) -> dict[str, Any]:
    """The findings of schemathesis. Its one check that is left out would need a description of how long `data` is."""
    report = folder / "schemathesis.json"
    command = [program, "run", f"{root}/openapi.json", "-H", f"Authorization: Bearer {TOKEN}", "--no-color"]
    command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--continue-on-failure"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none"]
    command += ["--report", "json", "--report-json-path", str(report)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=folder)
    if not report.exists():
        raise RuntimeError(f"schemathesis: {completed.stdout[-2000:]}{completed.stderr[-2000:]}")
    facts = json.loads(report.read_text())
    return {
        "version": facts["schemathesis_version"],
        "requests": facts["test_cases"]["generated"],
        "operations": facts["operations"]["tested"],
        "failures": [*facts["failures"], *facts["errors"]],
        "complete": facts["complete"],
    }


class AbusedServer:
    """The server, in a process of its own. defects: what it logged besides requests."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "bl_neuro", "serve", str(model), "--port", "0", "--deadline", "1.5"]
        command += ["--log", str(model.with_name("log"))]
        environment = {**os.environ, "BL_NEURO_TOKENS": f"honest:{TOKEN}"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.defects: list[str] = []
        assert self.process.stderr is not None
        facts: dict[str, Any] = {}
        while facts.get("event") != "ready":
            facts |= json.loads(self.process.stderr.readline())
        self.port = int(facts["port"])
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.defects += [line.strip() for line in self.process.stderr if not _expected(line)]

    def memory(self) -> int:
        """Bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> bool:
        """Whether it was alive until now."""
        alive = self.process.poll() is None
        self.process.terminate()
        self.process.wait(60)
        self._reader.join()
        return alive


def _expected(line: str) -> bool:
    return any(f'"event": "{event}"' in line for event in ("request", "ended"))


def abuse(address: tuple[str, int], numbers: range) -> Counter[str]:
    """How often which case got which status."""
    slow = [number for number in numbers if case_of(number) in SLOW]
    quick = [number for number in numbers if case_of(number) not in SLOW]
    with ThreadPoolExecutor(8) as hasty, ThreadPoolExecutor(64) as patient:
        answers = [pool.map(lambda number: send(address, number), part) for pool, part in
                   ((hasty, quick), (patient, slow))]  # fmt: skip
        return Counter(f"{case} {status}" for case, status in chain(*answers))


def measure(first: int, requests: int, program: str | None, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl
    from bl_neuro.testing.reference_target import easy_network

    network = easy_network()
    bl.save(network, folder / "easy.safetensors")
    server = AbusedServer(folder / "easy.safetensors")
    address, root = ("127.0.0.1", server.port), f"http://127.0.0.1:{server.port}"
    honest, lurkers = Honest(f"{root}/v2/models/easy", network), Lurkers(address)
    began, warm = time.monotonic(), first + min(requests, 2000)
    try:
        tally = abuse(address, range(first, warm))
        memory = [server.memory()]
        tally += abuse(address, range(warm, first + requests))
        memory.append(server.memory())
        seconds = time.monotonic() - began
        fuzzed = None if program is None else fuzz_openapi(program, root, folder)
        memory.append(server.memory())
    finally:
        lurkers.stop()
        honest.stop()
        alive = server.end()
    statuses = Counter[str]()
    for name, count in tally.items():
        statuses[name.partition(" ")[2]] += count
    return {
        "first": first,
        "requests": requests + (fuzzed["requests"] if fuzzed else 0),
        "ours": requests,
        "seconds": round(seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "cases": dict(sorted(tally.items())),
        "server_alive": alive,
        "defects": server.defects[:20],
        "honest_asked": honest.asked,
        "honest_wrong": honest.wrong,
        "memory_mib": [size // 2**20 for size in memory],
        "memory_growth": round(max(memory[1:]) / memory[0] - 1, 4),
        "lurkers": {"at_once": LURKERS, "hung_up": lurkers.hung_up, "longest_s": round(lurkers.longest_s, 1)},
        "schemathesis": fuzzed,
    }


def is_fine(results: dict[str, Any]) -> bool:
    broken = any(status[0] not in "1234c" and status != "503" for status in results["statuses"])
    fuzzed = results["schemathesis"] or {"failures": [], "complete": True}
    return (
        results["server_alive"]
        and not (broken or results["honest_wrong"] or results["defects"] or fuzzed["failures"])
        and fuzzed["complete"]
        and results["memory_growth"] <= 0.1
        and results["lurkers"]["longest_s"] <= LONGEST_HEAD_S
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--schemathesis")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(arguments.first, arguments.requests, arguments.schemathesis, Path(folder))
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")
    sys.exit(0 if is_fine(results) else 1)


if __name__ == "__main__":
    main()
