"""Hostile requests to a server, while a well-formed client checks that its answers stay right.

    python scripts/abuse_serve.py [--requests 50000] [--schemathesis PROGRAM] [--out results/abuse_serve.json]

Our own cases: wrong shapes, datatypes and values, NaN, huge declared sizes, lying lengths, compressed bombs, deep
nesting, cut and slow bodies, bad tokens, path tricks, wrong methods, mutated bytes of good requests. Request n is drawn
from the seed and n, so that one that breaks the server can be sent again (--first n --requests 1). With
--schemathesis, that program then fuzzes the OpenAPI description (it pins a newer pytest than lava-dl allows, and so
lives elsewhere). Exit 1 where a 5xx is no deliberate 503, the server died, an answer was
wrong, or memory grew by over 10% after the first 2000.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

TOKEN = "a-token-of-the-honest-client"
INFER = "/v2/models/easy/infer"
JSON = '{{"inputs":[{{"name":"spikes","datatype":"{}","shape":{},"data":{}}}]}}'
BOMB = gzip.compress(b" " * 2**24)
PATHS = (
    "/", "//v2", "/v2/", "/v2/models/", "/v2/models/easy/../../../etc/passwd", "/v2/models/%2e%2e/%2e%2e/infer",
    "/v2/models/easy%00/infer", "/v2/models/easy/infer/", "/V2", "/metrics", "/v2/models/easy/versions/9/infer",
    "/v2/models/" + "a" * 9000, "/v2/models/easy;x/infer", "*",
)  # fmt: skip
VALUES = ("NaN", "Infinity", "-1", "2", "0.5", "1e400", '"1"', "null", "true", "{}", "[]", "9" * 400, "9" * 5000)
SHAPES = ("[]", "[0,1,12]", "[-1,1,12]", "[1,1]", "[1,1,13]", "[4294967296,4294967296,12]", "[1e3,1,12]",
          '["1",1,12]', "[1,1,12,1]", "[true,1,12]", "null", "9", "[9223372036854775808,1,12]",
          "[1,1000000,12]")  # fmt: skip
HEADERS = (
    "Content-Encoding: gzip", "Inference-Header-Content-Length: -1", "Inference-Header-Content-Length: 99999999",
    "Inference-Header-Content-Length: x", "Idempotency-Key: " + "k" * 999, "Transfer-Encoding: chunked",
    "Expect: 100-continue", "Content-Type: text/\xff", "X: " + "y" * 100_000, "Content-Length: 5", "Cookie: \x00",
    "Upgrade: websocket",
)  # fmt: skip
Case = Callable[[np.random.Generator], bytes]


def good(rng: np.random.Generator) -> bytes:
    return JSON.format("UINT8", "[1,1,12]", rng.integers(0, 2, 12).tolist()).replace(" ", "").encode()


def post(body: bytes, *headers: str, path: str = INFER, token: str = TOKEN, length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *headers, "Connection: close"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def values(rng: np.random.Generator) -> bytes:
    data = ["1"] * 12
    data[rng.integers(12)] = str(rng.choice(VALUES))
    datatype = str(rng.choice(["UINT8", "FP32", "FP64", "INT64", "BOOL", "BYTES", "", "UINT8\\u0000"]))
    return post(JSON.format(datatype, "[1,1,12]", f"[{','.join(data)}]").encode())


def shapes(rng: np.random.Generator) -> bytes:
    return post(JSON.format("UINT8", rng.choice(SHAPES), "[" + ",".join("1" * int(rng.integers(0, 40))) + "]").encode())


def nested(rng: np.random.Generator) -> bytes:
    depth = int(rng.integers(1, 20_000))
    return post(JSON.format("UINT8", "[1,1,12]", "[" * depth + "]" * depth).encode())


def lying_length(rng: np.random.Generator) -> bytes:
    return post(good(rng), length=int(rng.choice([0, 1, 50, 10**4, 10**9, 10**18])))


def odd_header(rng: np.random.Generator) -> bytes:
    return post(good(rng), str(rng.choice(HEADERS)))


def bomb(rng: np.random.Generator) -> bytes:
    return post(BOMB, *(["Content-Encoding: gzip"] if rng.random() < 0.5 else []))


def binary(rng: np.random.Generator) -> bytes:
    size = int(rng.choice([0, 11, 12, 13, 2**31, 2**63, -1]))
    shape = rng.choice(["[1,1,12]", "[2,1,12]", "[1024,1024,12]"])
    parameters = f'"parameters":{{"binary_data_size":{size}}}'
    head = f'{{"inputs":[{{"name":"spikes","datatype":"UINT8","shape":{shape},{parameters}}}]}}'.encode()
    length = len(head) + int(rng.choice([0, 0, 0, 1, -1]))
    return post(head + rng.bytes(int(rng.choice([0, 12, 24]))), f"Inference-Header-Content-Length: {length}")


def stranger(rng: np.random.Generator) -> bytes:
    return post(good(rng), token=str(rng.choice(["", "x", TOKEN[:-1], TOKEN + "x", "\xff" * 20, "a b c", "y" * 5000])))


def wrong_path(rng: np.random.Generator) -> bytes:
    method = str(rng.choice(["GET", "POST", "PUT", "DELETE", "TRACE", "HEAD", "PATCH", "FOO"]))
    lines = f"{method} {rng.choice(PATHS)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return (lines + f"Authorization: Bearer {TOKEN}\r\n\r\n").encode()


def mutated(rng: np.random.Generator) -> bytes:
    body = bytearray(good(rng))
    for _ in range(int(rng.integers(1, 6))):
        body[rng.integers(len(body))] = int(rng.integers(256))
    return post(bytes(body))


def mutated_whole(rng: np.random.Generator) -> bytes:
    request = bytearray(post(good(rng)))
    for _ in range(int(rng.integers(1, 6))):
        request[rng.integers(len(request))] = int(rng.integers(256))
    return bytes(request)


def cut(rng: np.random.Generator) -> bytes:
    request = post(good(rng))
    return request[: rng.integers(len(request))]


CASES: tuple[Case, ...] = (
    values, shapes, nested, lying_length, odd_header, bomb, binary, stranger, wrong_path, mutated, mutated_whole, cut,
)  # fmt: skip


def send(address: tuple[str, int], number: int) -> tuple[str, str]:
    """The name of request `number` and the status that it got; "closed" where the server hung up without one."""
    rng = np.random.default_rng([7, number])
    case = CASES[number % len(CASES)]
    request = case(rng)
    try:
        with socket.create_connection(address, timeout=60) as line:
            line.sendall(request)
            if case in (cut, lying_length, mutated_whole):  # or the server waits for the rest until its deadline
                line.shutdown(socket.SHUT_WR)
            found = re.match(rb"HTTP/1\.1 (\d{3})", line.recv(4096))
        return case.__name__, found[1].decode() if found else "closed"
    except (ConnectionError, BrokenPipeError):
        return case.__name__, "closed"
    except TimeoutError:
        return case.__name__, "no answer"


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


def fuzz_openapi(program: str, root: str) -> str:
    """The last lines of what schemathesis says."""
    command = [program, "run", f"{root}/openapi.json", "-H", f"Authorization: Bearer {TOKEN}", "--checks"]
    command += ["not_a_server_error", "--seed", "1", "--no-color"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=900)
    return "\n".join(said.stdout.splitlines()[-12:])


def measure(first: int, requests: int, program: str | None, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl
    from bl_neuro.testing.reference_target import easy_network

    network = easy_network()
    bl.save(network, folder / "easy.safetensors")
    command = [sys.executable, "-m", "bl_neuro", "serve", str(folder / "easy.safetensors"), "--port", "0"]
    command += ["--log", str(folder / "log"), "--deadline", "1.5"]
    environment = {**os.environ, "BL_NEURO_TOKENS": f"honest:{TOKEN}"}
    defects: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        facts: dict[str, Any] = {}
        while facts.get("event") != "ready":
            facts |= json.loads(server.stderr.readline())
        lines = server.stderr
        collect = threading.Thread(target=lambda: defects.extend(each for each in lines if '"request"' not in each))
        collect.start()
        root = f"http://127.0.0.1:{facts['port']}"
        honest, process = Honest(f"{root}/v2/models/easy", network), psutil.Process(server.pid)
        began, tally = time.monotonic(), Counter[str]()
        warm, memory = min(requests, 2000), list[int]()
        with ThreadPoolExecutor(8) as pool:
            for part in (range(first, first + warm), range(first + warm, first + requests)):
                for case, status in pool.map(lambda number: send(("127.0.0.1", facts["port"]), number), part):
                    tally[f"{case} {status}"] += 1
                memory.append(process.memory_info().rss)
        seconds = time.monotonic() - began
        said = None if program is None else fuzz_openapi(program, root)
        honest.stop()
        alive = server.poll() is None
        server.terminate()
        server.wait(60)
        collect.join()
    statuses = Counter[str]()
    for name, count in tally.items():
        statuses[name.rpartition(" ")[2] if not name.endswith("no answer") else "no answer"] += count
    return {
        "first": first,
        "requests": requests,
        "seconds": round(seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "cases": dict(sorted(tally.items())),
        "server_alive": alive,
        "defects": [each.strip() for each in defects if "ended" not in each][:20],
        "honest_asked": honest.asked,
        "honest_wrong": honest.wrong,
        "memory_growth": round(memory[-1] / memory[0] - 1, 4),
        "schemathesis": said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--schemathesis")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.first, arguments.requests, arguments.schemathesis, Path(folder))
    print(json.dumps(found, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    broken = any(status[0] == "5" and status != "503" for status in found["statuses"])
    fine = found["server_alive"] and not found["honest_wrong"] and not found["defects"]
    sys.exit(0 if fine and not broken and found["memory_growth"] <= 0.1 else 1)


if __name__ == "__main__":
    main()
