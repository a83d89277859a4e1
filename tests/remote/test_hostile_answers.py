"""Hostile answers take bounded time and memory, and end with a typed error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import torch

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

import bl_neuro as bl
from bl_neuro.remote.connection import HttpResponse
from bl_neuro.remote.described import Described, Options, described
from bl_neuro.remote.inference import answer, max_response_bytes

ONE = torch.ones(1, 1, 12)
OK = b"HTTP/1.1 200 OK\r\n"


def written(start: bytes, part: bytes, times: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers with `start`, and then with `part` again and again, as long as somebody listens."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(start)
            for _ in range(times):
                handler.wfile.write(part)
        except OSError:
            pass

    return reply


def dripping(start: bytes, drop: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Sends a few bytes at a time, each before a single read times out; it would end in half a minute."""
    pause = threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(start)
            for _ in range(600):
                handler.wfile.write(drop)
                pause.wait(0.05)
        except OSError:
            pass

    return reply


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (OK + b"Content-Length: 600\r\n\r\n", b" "),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (OK + b"X: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "headers", "status"],
)
@pytest.mark.slow
def test_a_slow_answer_times_out(start: bytes, drop: bytes, foreign: Any, open_box: Any) -> None:
    box = open_box(timeout_s=0.5)
    foreign.replies = [dripping(start, drop)]
    with pytest.raises(bl.EndpointUnavailable, match="ReadTimeoutError"):
        box.query(ONE)


@pytest.mark.parametrize(
    "start",
    [
        OK + b"Connection: close\r\n\r\n",
        OK + b"Content-Length: 1000000000\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",
    ],
    ids=["to the end", "announced", "one chunk", "a chunk of -1", "a chunk of -5"],
)
def test_an_answer_is_as_large_as_what_was_asked(start: bytes, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [written(start, b" " * 2**16, 1000)]
    with pytest.raises(bl.EndpointProtocolError, match="expected a response of at most 1048672 bytes"):
        box.query(ONE)
    assert box.query(ONE).tolist() == [[4.0, 4.0, 4.0]]


def model(**changes: Any) -> Described:
    facts = ("scores", "images", "FP32", "scores", (12,), 3, "rates", None, None, None)
    return Described(**{**dict(zip(Described.__dataclass_fields__, facts)), **changes})


@pytest.mark.parametrize(("reveals", "values"), [("label", 8), ("counts", 24), ("membrane", 24 * 5)])
def test_room_for_every_answer(reveals: str, values: int) -> None:
    """In JSON, with the longest numbers there are."""
    shape = {"label": [8], "counts": [8, 3]}.get(reveals, [8, 5, 3])
    output = {"name": "scores", "datatype": "FP64", "shape": shape, "data": [-2.2250738585072014e-308] * values}
    asked = model(reveals=reveals)
    assert len(json.dumps(output, indent=1)) - len(json.dumps({**output, "data": []}, indent=1)) < 32 * values
    assert max_response_bytes(asked, batch=8, steps=5) == 2**20 + 32 * values


def test_a_large_refusal_is_still_one(foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["idempotency_key"]
    box = open_box()
    page = written(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n", b"<p>" * 10**5, 10)
    foreign.replies = [page, page]
    assert box.query(ONE).tolist() == [[4.0, 4.0, 4.0]]
    assert len(foreign.keys) == 3


def test_large_metadata(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "more": "x" * 2**20}
    with pytest.raises(bl.EndpointProtocolError, match="at most 1048576 bytes"):
        open_box()


@pytest.mark.parametrize("retry_after", ["\xb2", "9" * 5000, "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", ""])
@pytest.mark.slow
def test_invalid_retry_after_headers_are_ignored(retry_after: str, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(429, {"error": "slowly"}, {"Retry-After": retry_after})]
    assert box.query(ONE).tolist() == [[4.0, 4.0, 4.0]]


@pytest.mark.parametrize("length", ["1" * 5000, "\xb2", "-1", "+5", "1000000", ""])
def test_invalid_lengths_are_refused(length: str, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(200, {"outputs": []}, {"Inference-Header-Content-Length": length})]
    with pytest.raises(bl.EndpointProtocolError, match="expected Inference-Header-Content-Length within"):
        box.query(ONE)


@pytest.mark.parametrize("content", [{"error": {"a": ["b"]}, "code": ["c"]}, {"error": 7}, [], "no", None, 7])
def test_refusals_of_any_form(content: Any, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(400, content, {})]
    with pytest.raises(bl.InputError, match="infer: "):
        box.query(ONE)


@pytest.mark.parametrize(
    "output",
    [
        {"shape": [1.0, 3.0], "data": [0, 0, 0], "datatype": []},
        {"shape": "13", "data": [0, 0, 0]},
        {"shape": [1] * 100 + [3], "data": [0, 0, 0]},
        {"shape": [2**31 - 1, 3], "data": [[], []]},
        {"shape": [1, 3], "data": [[[0, 0, 0]]]},
        {"shape": [1, 3], "data": ["a" * 20_000, "", ""]},
        {"shape": [1, 3], "data": [2**70, 0, 0]},
        {"shape": [1, 3], "data": [0, 0, 0], "datatype": {}},
        {"shape": [1, 3], "data": [2**63, 0, 0], "datatype": "UINT64"},
        {"shape": [1, 3], "data": [1e5, 0, 0], "datatype": "FP16"},
        {"shape": [1, 3], "data": [0, 0, 0], "datatype": "BF16"},
        {"shape": [1, 3], "data": [0, 0, 0], "parameters": [1]},
        {"shape": [1, 3], "data": [0, 0, 0], "parameters": {"binary_data_size": True}},
    ],
)
def test_invalid_outputs_are_refused(output: dict[str, Any]) -> None:
    body = json.dumps({"outputs": [{"name": "scores", "datatype": "FP64", **output}]}).encode()
    with pytest.raises(bl.EndpointProtocolError, match="expected output 'scores'"):
        answer(HttpResponse(body, {}), model(), 1, 1, "here")


def test_labels_may_be_a_column() -> None:
    for shape, data in (([2], [1, 2]), ([2, 1], [1, 2]), ([2, 1], [[1], [2]])):
        body = json.dumps({"outputs": [{"name": "scores", "datatype": "UINT16", "shape": shape, "data": data}]})
        assert answer(HttpResponse(body.encode(), {}), model(reveals="label"), 2, 1, "here").tolist() == [1, 2]


NASTY = "\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [{"name": "images", "datatype": []}]}, "expected datatype BOOL.*, found '\\[\\]'"),
        ({"inputs": [{"name": "images", "datatype": {}}]}, "found '{}'"),
        ({"inputs": [{"name": "images", "datatype": NASTY}]}, "expected datatype BOOL"),
        ({"inputs": [{"name": NASTY}, {"name": "b", "shape": []}]}, "give the name of one of its inputs"),
        ({"inputs": [{"name": NASTY * 10**4, "shape": [-1, 12]}] * 50}, "give the name of one of its inputs"),
        ({"outputs": [{"name": NASTY}, {"name": "\ud800"}]}, "give the name of one of its outputs"),
        ({"inputs": NASTY}, "expected inputs with names and shapes"),
        ({"outputs": [{"name": "scores", "shape": [-1, [3]]}]}, "number of classes"),
        ({"outputs": [{"name": "scores", "shape": [-1, True]}]}, "number of classes"),
        ({"platform": "bl_neuro", "parameters": {"reveals": NASTY}}, "reveals: expected .* as here declares"),
        ({"platform": "bl_neuro", "parameters": {"reveals": [NASTY]}}, "reveals: expected .* as here declares"),
        ({"platform": "bl_neuro", "parameters": {"layout": NASTY}}, "layout: expected one of"),
        ({"platform": "bl_neuro", "parameters": {"classes": True}}, "number of classes"),
    ],
)
def test_invalid_metadata_is_refused(changes: dict[str, Any], message: str, foreign: Any) -> None:
    metadata = json.loads(json.dumps({**foreign.metadata, **changes}))
    with pytest.raises((bl.EndpointProtocolError, bl.InputError), match=message) as raised:
        described(metadata, Options(reveals="scores", input_shape=(12,)), "here")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 10_000


def test_control_characters_in_output_names_are_escaped(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "outputs": [{"name": NASTY, "shape": [-1, 3]}]}
    box = open_box()
    with pytest.raises(bl.EndpointProtocolError, match="expected output") as raised:
        box.query(ONE)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ([-1, 12], 2**20, "declares 1048576 classes for inputs of shape"),
        ([-1, 12], 5000, "declares 5000 classes"),
        ([-1, 2**21], 2, "declares 2 classes for inputs of shape"),
        ([-1, 2**31 - 1, 2**31 - 1], 2, "declares 2 classes for inputs of shape"),
        ([-1, *[1] * 40], 3, "frames of at most 16 axes, found 40"),
        ([-1, *[1] * 40_000], 3, "frames of at most 16 axes, found 40000"),
    ],
)
def test_sizes_that_would_fill_the_memory_are_refused(
    shape: list[int], classes: int, message: str, foreign: Any, open_box: Any
) -> None:
    foreign.metadata = {
        "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
        "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, classes]}],
    }
    with pytest.raises((bl.EndpointProtocolError, bl.InputError), match=message) as raised:
        open_box()
    assert len(str(raised.value)) < 1000


def test_sizes_that_the_user_states_are_accepted(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "outputs": [{"name": "scores", "datatype": "FP64", "shape": [-1, 2**20]}]}
    box = open_box(classes=2**20, input_shape=(12,))
    assert box.classes == 2**20
    with pytest.raises(bl.InputError, match="input_shape: expected at most 16 axes, found 40"):
        open_box(input_shape=(1,) * 40)


@pytest.mark.parametrize("score", [1e308, -1e308, 3.5e38])
def test_scores_beyond_fp32_are_refused_without_warnings(score: float, foreign: Any, open_box: Any) -> None:
    box = open_box()
    output = {"name": "scores", "datatype": "FP64", "shape": [1, 3], "data": [score, 0, -score]}
    foreign.replies = [(200, {"outputs": [output]}, {})]
    with pytest.raises(bl.EndpointProtocolError, match="range of FP32"):
        box.query(ONE)


@pytest.mark.filterwarnings("error")
def test_an_attack_on_the_largest_scores_prints_no_warnings(foreign: Any, open_box: Any) -> None:
    box = open_box()

    def largest(header: bytes, raw: bytes) -> Any:
        (given,) = json.loads(header)["inputs"]
        data = [[3.4e38, -3.4e38, 3.4e38]] * given["shape"][0]
        output = {"name": "scores", "datatype": "FP64", "shape": [given["shape"][0], 3], "data": data}
        return 200, {"outputs": [output]}, {}

    foreign.answer = largest
    assert bl.attacks.BrainLeaksV2(queries=60)(box, classes=range(3), steps=2, seed=0).queries == box.spent


BODY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"outputs": [{"data": [NaN, 0, 0]}]}', "expected JSON, found NaN, which is no number in JSON"),
        (b'{"outputs": [-Infinity]}', "expected JSON, found -Infinity"),
        (b'{"error": "model \\u001b[31m is loading"}', "found an error with status 200: model"),
        (b"", "expected JSON, found an empty response"),
        (b"<!DOCTYPE html><p>Sign in", "expected JSON, found a web page"),
        (b"[]", "the response has no list of outputs"),
        (b"{}", "the response has no list of outputs"),
        (b'{"outputs": {}}', "the response has no list of outputs"),
        (b'{"outputs": [7]}', "the response has no list of outputs"),
        (b'{"outputs": [{"name": "scores"}]}', "expected shape"),
        (b'{"outputs": [{"name": "scores", "shape": [1, 3]}]}', "datatype: expected one of"),
        (b'{"outputs": [{"name": "scores", "parameters": 7}]}', "parameters: expected an object, found int"),
    ],
)
def test_an_answer_that_is_none_says_what_it_is(content: bytes, message: str, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [written(BODY % (len(content), content), b"", 0)]
    with pytest.raises(bl.EndpointProtocolError, match=message) as raised:
        box.query(ONE)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (302, {"Location": "https://elsewhere/v2"}, "302; it redirects to 'https://elsewhere/v2'.*give the final URL"),
        (304, {}, "304; it redirects, which is not followed"),
        (202, {}, "status 202; expected status 200"),
        (404, {}, "status 404; expected the URL of a model"),
        (401, {}, "status 401; give its token"),
    ],
)
def test_other_statuses_say_what_to_try(
    status: int, headers: dict[str, str], message: str, foreign: Any, open_box: Any
) -> None:
    box = open_box()
    foreign.replies = [(status, {}, headers)]
    with pytest.raises((bl.EndpointRefused, bl.EndpointProtocolError), match=message):
        box.query(ONE)


def test_metadata_that_is_an_error(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {"error": "model is loading"}
    with pytest.raises(bl.EndpointProtocolError, match="found an error with status 200: model is loading"):
        open_box()
    foreign.metadata = {"name": float("nan")}
    with pytest.raises(bl.EndpointProtocolError, match="expected JSON, found NaN"):
        open_box()
