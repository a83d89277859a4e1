"""A black box against servers that are not ours: busy, away, wrong, or of another layout."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

import bl_neuro as bl

WEIGHT = np.kron(np.eye(3), np.ones((1, 4)))
METADATA: dict[str, Any] = {
    "name": "plain",
    "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 12]}],
    "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, 3]}],
}
Reply = tuple[int, Any, dict[str, str]]


class Foreign:
    """A plain model behind the protocol, JSON alone; `replies` are given first, in their order. None hangs up."""

    def __init__(self) -> None:
        self.metadata: Any = METADATA
        self.extensions: list[str] = []
        self.replies: list[Reply | None] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(200, {"extensions": outer.extensions} if self.path == "/v2" else outer.metadata, {})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.keys.append(self.headers.get("Idempotency-Key"))
                reply = outer.replies.pop(0) if outer.replies else outer.answer(asked)
                if reply is None:
                    self.close_connection = True
                else:
                    self.reply(*reply)

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

    @staticmethod
    def answer(asked: Any) -> Reply:
        given = asked["inputs"][0]
        logits = np.reshape(given["data"], given["shape"]) @ WEIGHT.T
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


def test_a_plain_model_is_asked_in_rates(open_box: Any) -> None:
    box = open_box(budget=10)
    spikes = torch.zeros(4, 2, 12)
    spikes[:2, 0, :4] = 1
    assert (box.input_shape, box.classes, box.reveals) == ((12,), 3, "scores")
    assert box.query(spikes).tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert box.spent == 2
    with pytest.raises(bl.InputError, match="only 0 and 1"):
        box.query(spikes / 2)
    with pytest.raises(bl.BudgetExceeded):
        box.query(torch.zeros(4, 9, 12))
    assert box.spent == 2


def test_attacks_take_it(open_box: Any) -> None:
    box = open_box()
    attack = bl.attacks.BrainLeaksV2(queries=60)
    assert attack(box, classes=range(3), steps=4).queries == box.spent


def test_busy_is_waited_for(foreign: Foreign, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(503, {"error": "busy"}, {}), (429, {"error": "slowly"}, {"Retry-After": "0"})]
    assert box.query(torch.ones(1, 1, 12)).tolist() == [[4.0, 4.0, 4.0]]
    assert box.spent == 1
    impatient = open_box(patience_s=0.01)
    foreign.replies = [(503, {"error": "busy"}, {})]
    with pytest.raises(bl.EndpointUnavailable, match="busy"):
        impatient.query(torch.ones(1, 1, 12))


def test_a_lost_answer_is_asked_again_under_its_key_or_not_at_all(foreign: Foreign, open_box: Any) -> None:
    foreign.extensions = ["idempotency_key"]
    keyed = open_box()
    foreign.replies = [None, None]
    keyed.query(torch.ones(1, 1, 12))
    assert len(foreign.keys) == 3
    assert len(set(foreign.keys)) == 1
    assert foreign.keys[0]
    foreign.extensions = []
    plain = open_box()
    foreign.replies = [None]
    with pytest.raises(bl.EndpointUnavailable, match="may have been answered"):
        plain.query(torch.ones(1, 1, 12))
    assert len(foreign.keys) == 4


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "", bl.InputError),
        (401, "", bl.EndpointRefused),
        (404, "", bl.EndpointRefused),
        (403, "budget_exceeded", bl.BudgetExceeded),
        (500, "", bl.EndpointUnavailable),
        (302, "", bl.EndpointRefused),
    ],
)
def test_every_refusal_is_typed(
    status: int, code: str, error: type[Exception], foreign: Foreign, open_box: Any
) -> None:
    box = open_box()
    foreign.replies = [(status, {"error": "said \x1b[31m so", "code": code}, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(error, match=r"said  \[31m so") as raised:
        box.query(torch.ones(1, 1, 12))
    assert "\x1b" not in str(raised.value)
    assert box.spent == (0 if code else 1)


@pytest.mark.parametrize(
    "output",
    [
        {"name": "other", "datatype": "FP64", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 4], "data": [0, 0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [3, 1], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "data": [0, 0]},
        {"name": "scores", "datatype": "BYTES", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "parameters": {"binary_data_size": 10**12}},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "data": [0, float("nan"), 0]},
        {"name": "scores"},
        7,
    ],
)
def test_answers_that_are_none(output: Any, foreign: Foreign, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(200, {"outputs": [output]}, {})]
    with pytest.raises(bl.EndpointProtocolError):
        box.query(torch.ones(1, 1, 12))


def test_what_is_left_open_must_be_said(foreign: Foreign, open_box: Any) -> None:
    with pytest.raises(bl.InputError, match="give reveals"):
        open_box(reveals=None)
    foreign.metadata = {"name": "plain", "inputs": [], "outputs": []}
    with pytest.raises(bl.InputError, match="name one of its inputs"):
        open_box()
    with pytest.raises(bl.InputError, match="give input_shape"):
        open_box(input="images", output="scores", classes=3)
    box = open_box(input="images", output="scores", classes=3, input_shape=(12,))
    assert box.query(torch.ones(1, 1, 12)).shape == (1, 3)


@pytest.mark.parametrize(
    "url", ["", "file:///v2/models/x", "http://host/", "http://a:b@host/v2/models/x", "http://host/v2/models/x?y=1"]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(bl.InputError, match="url: expected"):
        bl.RemoteBlackBox(url)


def test_nobody_there() -> None:
    with pytest.raises(bl.EndpointUnavailable, match="cannot be reached"):
        bl.RemoteBlackBox("http://127.0.0.1:9/v2/models/x", patience_s=0.01)
