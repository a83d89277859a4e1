"""Spikes packed as bits in requests: the same answers as any other form; invalid ones are refused."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.deploy.serve.request import Limits, read_query
from bl_neuro.remote.connection import HttpResponse
from bl_neuro.remote.described import Described, Options, described
from bl_neuro.remote.inference import HEADER_LENGTH, Wire, answer, request
from bl_neuro.testing.reference_target import easy_network

pytestmark = pytest.mark.slow

INFER = "/v2/models/model/infer"
GIVEN = torch.rand(6, 3, 12, generator=torch.Generator().manual_seed(4)) < 0.5
FRAME = GIVEN[:1].expand(7, 3, 12)
PARAMETERS = {"binary_data_size": 3, "packed": "bits"}
"""Of 2 x 1 x 12 spikes."""


@pytest.fixture(scope="module")
def server(launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served")
    bl.save(easy_network(), folder / "model.safetensors")
    made = launch(folder / "model.safetensors", "--log", str(folder / "log"), "--budget", "1000")
    yield made
    made.end()


def send(server: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    client = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=30)
    client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = client.getresponse()
    content = response.read()
    client.close()
    return response.status, content, {name.lower(): value for name, value in response.getheaders()}


def model_of(server: Any) -> Described:
    return described(json.loads(send(server, "GET", "/v2/models/model")[1]), Options(), server.url)


def asked(server: Any, spikes: Tensor, wire: Wire, key: str | None = None) -> tuple[int, Any]:
    """The status, and the answer or error."""
    model = model_of(server)
    body, headers = request(spikes.to(torch.uint8), model, wire)
    if key is not None:
        headers["Idempotency-Key"] = key
    status, content, response_headers = send(server, "POST", INFER, body, **headers)
    if status != 200:
        return status, json.loads(content)
    return status, answer(HttpResponse(content, response_headers), model, spikes.shape[1], len(spikes), server.url)


@pytest.mark.parametrize("spikes", [GIVEN, FRAME, GIVEN[:1]], ids=["bits", "held", "one step"])
def test_every_form_has_the_same_answer(spikes: Tensor, server: Any) -> None:
    with bl.open_target(easy_network(), "loihi") as target:
        expected = bl.BlackBox(target).query(spikes)
    for wire in ("packed", "binary", "json"):
        status, actual = asked(server, spikes, wire)
        assert status == 200
        assert torch.equal(actual, expected)
    with server.box() as box:
        assert torch.equal(box.query(spikes), expected)


def packed_body(
    raw: bytes, shape: Any = (2, 1, 12), datatype: str = "UINT8", data: Any = None, **parameters: Any
) -> tuple[bytes, str]:
    given: dict[str, Any] = {"name": "spikes", "datatype": datatype, "shape": list(shape)}
    given["parameters"] = {name: value for name, value in {**PARAMETERS, **parameters}.items() if value != "none"}
    if data is not None:
        given["data"] = data
    header = json.dumps({"inputs": [given]}).encode()
    return header + raw, str(len(header))


@pytest.mark.parametrize(
    ("case", "status", "message"),
    [
        ({"raw": b"\x00" * 2}, 400, "binary_data_size: expected the number of bytes behind the JSON"),
        ({"raw": b"\x00" * 4}, 400, "binary_data_size: expected the number of bytes"),
        ({"raw": b"\x00" * 4, "binary_data_size": 4}, 400, "expected 3 bytes for 24 spikes, found 4"),
        ({"raw": b"", "binary_data_size": 0}, 400, "expected 3 bytes for 24 spikes, found 0"),
        ({"raw": b"\x00" * 3, "packed": "held"}, 400, "expected 2 bytes for 12 spikes, found 3"),
        ({"raw": b"\x00" * 3, "binary_data_size": -3}, 400, "binary_data_size: expected"),
        ({"raw": b"\x00" * 3, "binary_data_size": True}, 400, "binary_data_size: expected"),
        ({"raw": b"\x00" * 3, "binary_data_size": "none"}, 400, "binary_data_size: expected"),
        ({"raw": b"\x00\xff", "binary_data_size": 2, "packed": "held"}, 400, "expected padding bits of 0"),
        ({"raw": b"\x00" * 3, "packed": "zip"}, 400, "packed: expected one of bits, held, found 'zip'"),
        ({"raw": b"\x00" * 3, "packed": None}, 400, "packed: expected one of bits, held"),
        ({"raw": b"\x00" * 3, "packed": ["bits"]}, 400, "packed: expected one of bits, held"),
        ({"raw": b"\x00" * 3, "packed": 1}, 400, "packed: expected one of bits, held"),
        ({"raw": b"\x00" * 3, "datatype": "BOOL"}, 400, "packed: expected UINT8 spikes"),
        ({"raw": b"\x00" * 3, "datatype": "FP32"}, 400, "packed: expected UINT8 spikes"),
        ({"raw": b"\x00" * 3, "data": [1] * 24}, 400, "and no data in it"),
        ({"raw": b"", "binary_data_size": "none", "data": [1] * 24}, 400, "binary_data_size: expected"),
        ({"raw": b"\x00" * 3, "shape": (2, 1, 13)}, 400, "shape: expected"),
        ({"raw": b"\x00" * 3, "shape": (0, 1, 12)}, 400, "shape: expected"),
        ({"raw": b"\x00" * 2, "packed": "held", "shape": (1025, 1, 12)}, 413, "at most 1024 steps"),
        ({"raw": b"\x00" * 2, "packed": "held", "shape": (2**62, 1, 12)}, 413, "at most 1024 steps"),
        ({"raw": b"\x00" * 2, "shape": (1, 2**62, 12)}, 413, "at most 1024 steps and 1024 samples"),
    ],
)  # fmt: skip
def test_invalid_requests_are_refused(case: dict[str, Any], status: int, message: str, server: Any) -> None:
    body, length = packed_body(**case)
    response = send(server, "POST", INFER, body, **{HEADER_LENGTH: length})
    assert response[0] == status
    assert re.search(message, json.loads(response[1])["error"])


def test_packed_without_bytes_behind_the_json(server: Any) -> None:
    body, _ = packed_body(b"")
    status, content, _ = send(server, "POST", INFER, body)
    assert status == 400
    assert "binary_data_size: expected" in json.loads(content)["error"]


LIMITS = Limits((12,), steps=1024, batch=1024, json_bytes=1000, values=2**20)


def read(need: Any, **case: Any) -> Any:
    body, length = packed_body(**case)
    return read_query(body, length, "counts", LIMITS, need)


@pytest.mark.slow
def test_spikes_are_bounded_by_what_they_unpack_to() -> None:
    """Before they are unpacked, and before any room is taken."""
    needed: list[int] = []
    spare = {"raw": b"\x00" * 1536, "binary_data_size": 1536, "packed": "held"}
    with pytest.raises(Problem, match="at most 1048576 spikes") as refused:
        read(needed.append, shape=(1024, 1024, 12), **spare)
    assert (refused.value.status, needed) == (413, [])
    query = read(needed.append, shape=(85, 1024, 12), **spare)
    assert needed == [85 * 1024 * 12]
    assert query.values.untyped_storage().nbytes() == 1024 * 12

    def full(size: int) -> None:
        raise busy("full")

    with pytest.raises(Problem, match="full"):
        read(full, raw=b"\x00" * 3)


@pytest.mark.slow
def test_a_key_belongs_to_one_form(server: Any) -> None:
    """A client that asks again sends the same bytes; another form under the key is another query, and costs nothing."""
    with server.box() as box:
        before = box.budget
    status, first = asked(server, GIVEN, "packed", key="k-packed")
    assert status == 200
    status, again = asked(server, GIVEN, "packed", key="k-packed")
    assert status == 200
    assert torch.equal(first, again)
    for wire in ("binary", "json"):
        status, error = asked(server, GIVEN, wire, key="k-packed")
        assert (status, error["code"]) == (409, "key_reused")
    status, error = asked(server, GIVEN[:, :, [*range(1, 12), 0]], "packed", key="k-packed")
    assert (status, error["code"]) == (409, "key_reused")
    status, error = asked(server, FRAME, "packed", key="k-packed")
    assert (status, error["code"]) == (409, "key_reused")
    with server.box() as box:
        assert before is not None
        assert box.budget == before - 3
