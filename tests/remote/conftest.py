"""A third-party server, and boxes that query it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl

WEIGHT = np.kron(np.eye(3), np.ones((1, 4)))
METADATA: dict[str, Any] = {
    "name": "plain",
    "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 12]}],
    "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, 3]}],
}
NUMPY = {"BOOL": "?", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}


class Foreign:
    """A plain model behind the protocol; `replies` are given first, in their order.

    One is a status, its JSON and headers; "answered", which is what comes without any; None, which hangs up; or a
    function of the handler, which writes what it likes. `refusal` gives the reason why a batch of this size is refused.
    """

    def __init__(self) -> None:
        self.metadata: Any = METADATA
        self.extensions: Any = []
        self.replies: list[Any] = []
        self.keys: list[str | None] = []
        self.says_what_it_is = True
        self.configuration: Any = (404, {}, {})
        self.refusal: Callable[[int], str | None] = lambda batch: None
        self.batches: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.endswith("/config"):
                    self.reply(*outer.configuration)
                elif self.path != "/v2":
                    self.reply(200, outer.metadata, {})
                elif outer.says_what_it_is:
                    self.reply(200, {"extensions": outer.extensions}, {})
                else:
                    self.reply(404, {"detail": "Not Found"}, {})

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                outer.keys.append(self.headers.get("Idempotency-Key"))
                reply = outer.replies.pop(0) if outer.replies else "answered"
                if reply is None:
                    self.close_connection = True
                elif callable(reply):
                    reply(self)
                    self.close_connection = True
                else:
                    length = int(self.headers.get("Inference-Header-Content-Length", len(sent)))
                    self.reply(*(outer.answer(sent[:length], sent[length:]) if reply == "answered" else reply))

            def reply(self, status: int, content: Any, headers: dict[str, str]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v2/models/plain"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, header: bytes, raw: bytes) -> Any:
        (given,) = json.loads(header)["inputs"]
        self.batches.append(given["shape"][0])
        refusal = self.refusal(given["shape"][0])
        if refusal is not None:
            return 400, {"error": refusal}, {}
        values = np.frombuffer(raw, NUMPY[given["datatype"]]) if raw else np.asarray(given["data"])
        logits = values.reshape(given["shape"]).astype(float) @ WEIGHT.T
        output = {"name": "scores", "datatype": "FP64", "shape": list(logits.shape), "data": logits.ravel().tolist()}
        return 200, {"model_name": "plain", "outputs": [output]}, {}


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    made = Foreign()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def open_box(foreign: Foreign) -> Iterator[Callable[..., bl.RemoteBlackBox]]:
    boxes: list[bl.RemoteBlackBox] = []

    def opened(**options: Any) -> bl.RemoteBlackBox:
        options = {"reveals": "scores", "layout": "rates", "patience_s": 5.0, **options}
        boxes.append(bl.RemoteBlackBox(foreign.url, **options))
        return boxes[-1]

    yield opened
    for box in boxes:
        box.close()
