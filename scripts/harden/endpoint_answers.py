"""Endpoints with mutated answers: what they say, as JSON, and the server that says it."""

from __future__ import annotations

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

WEIGHT = np.kron(np.eye(3), np.ones((1, 4)))
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 12, 2**20, 2**31, 2**63, 10**40, 0.5, 1e308, -1e308, 3.4e38, float("nan"),
    float("inf"), "", "scores", "FP16", "BF16", "BYTES", "\x1b[31m", "\ud800", "x" * 5000, [],
    {}, [[]], [1, 3], [1] * 40,
    [-1, 12], [8, 12], [1] * 40_000, [2**31 - 1, 3], {"error": "no"}, "time_first", "bl_neuro", "binary_tensor_data",
)  # fmt: skip
STATUSES = (200, 201, 204, 206, 300, 302, 304, 400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 599)
HEADERS = (
    ("Inference-Header-Content-Length", "7"), ("Inference-Header-Content-Length", "-1"), ("Retry-After", "0"),
    ("Retry-After", "999999999"), ("Location", "http://127.0.0.1:1/"), ("Location", "\x1b[31m"),
    ("Content-Encoding", "gzip"), ("Content-Type", "text/html"), ("Content-Length", "5"),
    ("Content-Length", "99999999"),
    ("Content-Length", "x"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
)  # fmt: skip
OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {}, {}, {}, {"input_shape": [12], "classes": 3}, {"reveals": "label"}, {"layout": "time_first"}, {"budget": 9},
)  # fmt: skip
REFUSALS = (
    "inference request batch-size must be <= {} for 'plain'", "batch of {}", "index: 0 Got: 9 Expected: {}",
    "\x1b]0;{}",
)  # fmt: skip


def example(rng: np.random.Generator) -> dict[str, Any]:
    """An endpoint: its pages, each with a status, JSON, headers and changes of its bytes; and options of its client."""
    shape = [[-1, 12], [-1, 12], [8, 12], [1, 12], [-1, -1, 12]][rng.integers(5)]
    metadata: dict[str, Any] = {
        "name": "plain",
        "platform": ["onnx", "bl_neuro"][rng.integers(2)],
        "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
        "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, 3]}],
    }
    if metadata["platform"] == "bl_neuro":
        limits = {"max_batch": int(rng.integers(1, 9)), "max_bytes": 2**20, "remaining": int(rng.integers(1, 200))}
        metadata["parameters"] = {"reveals": "scores", "classes": 3, "layout": "rates", **limits}
    extensions = ["binary_tensor_data", "idempotency_key", "packed_spikes", "model_configuration"]
    chosen = [name for name in extensions if rng.random() < 0.5]
    pages = {
        "metadata": page(metadata),
        "server": page({"name": "server", "extensions": chosen}),
        "config": page({"max_batch_size": int(rng.integers(0, 9))}),
        "infer": page({"change": None}),
    }
    for name in rng.choice(list(pages), size=rng.integers(1, 3), replace=False, p=[0.3, 0.1, 0.1, 0.5]):
        mutate(pages[str(name)], str(name) == "infer", rng)
    options = OPTIONS[rng.integers(len(OPTIONS))]
    return {"pages": pages, "options": options, "batch": int(rng.integers(1, 40))}


def page(content: Any) -> dict[str, Any]:
    """A page with this JSON, not yet mutated."""
    return {
        "status": 200,
        "content": content,
        "headers": [],
        "cut": None,
        "flip": None,
        "refusal": None,
        "mutations": [],
    }


def mutate(answer: dict[str, Any], infer: bool, rng: np.random.Generator) -> None:
    """Changes a page in one or two ways."""
    for _ in range(rng.integers(1, 3)):
        kind = rng.integers(8)
        if kind == 0:
            answer["status"] = int(rng.choice(STATUSES))
        elif kind == 1:
            answer["headers"].append(HEADERS[rng.integers(len(HEADERS))])
        elif kind == 2:
            answer["cut"] = float(rng.random())
        elif kind == 3:
            answer["flip"] = [float(rng.random()), int(rng.integers(256))]
        elif kind in (4, 5) and infer:
            answer["refusal"] = str(rng.choice(REFUSALS)).format(int(rng.choice([0, 1, 4, 10**9])))
        elif infer:
            answer["mutations"].append(int(rng.integers(2**31)))  # of an answer that is made for its query
        else:
            answer["content"] = changed(answer["content"], rng)


def changed(content: Any, rng: np.random.Generator) -> Any:
    """The JSON with one value removed, repeated or exchanged."""
    content = copy.deepcopy(content)
    places: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            keys = list(value) if isinstance(value, dict) else list(range(min(len(value), 50)))
            places += [(value, key) for key in keys]
            waiting += [value[key] for key in keys]
    if not places or rng.random() < 0.05:
        return VALUES[rng.integers(len(VALUES))]
    holder, key = places[rng.integers(len(places))]
    action = rng.integers(4)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder.extend([holder[key]] * int(rng.choice([1, 40])))
    elif action == 2 and isinstance(holder, dict):
        holder["error"] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    return content


class HostileEndpoint:
    """A server of an example, on a free port of this machine."""

    def __init__(self, facts: dict[str, Any]) -> None:
        pages, most = facts["pages"], facts["batch"]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5
            wbufsize = 2**16
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                names = {"/v2": "server", "/v2/models/plain/config": "config"}
                self.reply(pages[names.get(self.path, "metadata")], None)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                length = int(self.headers.get("Inference-Header-Content-Length", len(sent)))
                answer, infer = scores(sent[:length], sent[length:]), pages["infer"]
                for seed in infer["mutations"]:
                    answer = changed(answer, np.random.default_rng(seed))
                batch = json.loads(sent[:length])["inputs"][0]["shape"][0]
                refused = infer["refusal"] is not None and batch > min(most, 4)
                reply = {**infer, "status": 400} if refused else infer
                self.reply(reply, {"error": infer["refusal"]} if refused else answer)

            def reply(self, answer: dict[str, Any], content: Any) -> None:
                body = json.dumps(answer["content"] if content is None else content).encode()
                if answer["flip"] is not None:
                    place, byte = answer["flip"]
                    at = int(place * len(body))
                    body = body[:at] + bytes([byte]) + body[at + 1 :]
                if answer["cut"] is not None:
                    body = body[: int(answer["cut"] * len(body))]
                headers = {"Content-Length": str(len(body)), **dict(answer["headers"])}
                try:
                    self.send_response(answer["status"])
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()
                except OSError:  # the client hung up
                    pass
                self.close_connection = bool(answer["headers"])

            def log_message(self, *words: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Prints nothing: the client may hang up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2/models/plain"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> HostileEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()


def scores(header: bytes, raw: bytes) -> dict[str, Any]:
    """The valid answer to a request: scores of a linear model."""
    (given,) = json.loads(header)["inputs"]
    batch = given["shape"][1 if len(given["shape"]) > 2 else 0]
    values = np.frombuffer(raw, "<f4") if raw and given["datatype"] == "FP32" else np.asarray(given.get("data", [0.0]))
    frames = np.resize(values.astype(float), (batch, 12))
    output = {"name": "scores", "datatype": "FP64", "shape": [batch, 3], "data": (frames @ WEIGHT.T).ravel().tolist()}
    return {"model_name": "plain", "outputs": [output]}
