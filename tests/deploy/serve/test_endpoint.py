"""The protocol and its refusals, which reveal no secrets."""

from __future__ import annotations

import http.client
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.deploy.serve.app import Endpoint
from bl_neuro.deploy.serve.clients import Clients
from bl_neuro.deploy.serve.ledger import Ledger
from bl_neuro.deploy.serve.logs import RequestLog
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.model import ServedModel
from bl_neuro.deploy.serve.problem import Problem
from bl_neuro.deploy.serve.request import Query
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.testing.reference_target import easy_network

TOKEN = "a-token-long-enough-to-be-one"
INFER = "/v2/models/model/infer"
GOOD: dict[str, Any] = {
    "inputs": [{"name": "spikes", "datatype": "UINT8", "shape": [2, 1, 12], "data": [1] * 24}],
}


@pytest.fixture(scope="module")
def server(launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("served")
    bl.save(easy_network(), folder / "model.safetensors")
    arguments = ["--log", str(folder / "log"), "--token", f"me:{TOKEN}", "--max-batch", "4", "--max-steps", "8"]
    made = launch(folder / "model.safetensors", *arguments)
    made.folder = folder
    yield made
    made.end()


def ask(
    server: Any, method: str, path: str, body: Any = None, token: str | None = TOKEN, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of an answer."""
    connection = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    connection.request(method, path, raw, sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content), {name.lower(): value for name, value in response.getheaders()}


def changed(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**GOOD["inputs"][0], **changes}]}


def test_it_describes_itself(server: Any) -> None:
    assert ask(server, "GET", "/v2/health/live", token=None)[0] == 200
    assert ask(server, "GET", "/v2/health/ready", token=None)[0] == 200
    assert ask(server, "GET", "/v2/models/model/ready")[1]["ready"] is True
    assert set(ask(server, "GET", "/v2")[1]["extensions"]) == {"binary_tensor_data", "idempotency_key", "packed_spikes"}
    metadata = ask(server, "GET", "/v2/models/model")[1]
    assert metadata["inputs"] == [{"name": "spikes", "datatype": "UINT8", "shape": [-1, -1, 12]}]
    assert metadata["outputs"] == [{"name": "counts", "datatype": "FP32", "shape": [-1, 3]}]
    assert set(metadata) == {"name", "versions", "platform", "inputs", "outputs", "parameters"}
    described = ask(server, "GET", "/openapi.json")[1]
    assert INFER in described["paths"]


def test_it_answers_in_json(server: Any) -> None:
    status, answer, _ = ask(server, "POST", INFER, {**GOOD, "id": "seven"})
    with bl.open_target(easy_network(), "loihi") as target:
        counts = bl.BlackBox(target).query(np.ones((2, 1, 12), np.uint8))
    assert status == 200
    assert answer["id"] == "seven"
    assert answer["outputs"] == [{"name": "counts", "datatype": "FP32", "shape": [1, 3], "data": counts[0].tolist()}]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "expected JSON"),
        (b"\xff\xfe", 400, "expected JSON"),
        (b"[" * 100_000, 400, "too many lists"),
        (b"[" * 50_000, 400, "nested too deeply|expected JSON"),
        (b'{"inputs": [{"name": "spikes", "datatype": "FP32", "shape": [1,1,12], "data": [NaN]}]}', 400, "JSON"),
        ({}, 400, "inputs: is required, but missing"),
        ({"inputs": []}, 400, "inputs"),
        (changed(name="pixels"), 400, "expected one named 'spikes'"),
        ({**GOOD, "outputs": [{"name": "membrane"}]}, 400, "expected 'counts'"),
        (changed(shape=[2, 1, 13]), 400, "shape: expected"),
        (changed(shape=[0, 1, 12], data=[]), 400, "shape: expected"),
        (changed(shape=[2, -1, 12]), 400, "shape: expected"),
        (changed(shape=[2, 2**62, 12]), 413, "at most 8 steps and 4 samples"),
        (changed(shape=[9, 1, 12]), 413, "at most 8 steps"),
        (changed(data=[1] * 23), 400, "expected 24 numbers"),
        (changed(data=[[1] * 12, [1] * 11]), 400, "data: expected"),
        (changed(data=[2] * 24), 400, "expected only 0 and 1"),
        (changed(data=[256] * 24), 400, "UINT8 values"),
        (changed(data=[10**400] * 24), 400, "data: expected"),
        (changed(data=["1"] * 24), 400, "data: expected"),
        (changed(data=[None] * 24), 400, "data: expected"),
        (changed(datatype="FP32", data=[0.5] * 24), 400, "expected only 0 and 1"),
        (changed(datatype="BYTES"), 400, "datatype: expected"),
        (changed(data=None, parameters={"binary_data_size": 24}), 400, "binary_data_size"),
        (b"{" + b" " * (5 * 2**20) + b"}", 413, "use binary tensors"),
        (b'{"inputs": [' + b"[]," * 100_000 + b"[]]}", 400, "too many lists"),
        (b'{"inputs": [{"name": "spikes", "datatype": "UINT8", "shape": [2,1,12], "data": ["'
         + b"a" * 500_000 + b'"' + b',""' * 400 + b"]}]}", 400, "data: expected"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_invalid_requests_are_refused(body: Any, status: int, message: str, server: Any) -> None:
    response = ask(server, "POST", INFER, body)
    assert response[0] == status
    assert re.search(message, response[1]["error"])
    assert "Traceback" not in response[1]["error"]


def test_unauthorized_clients_are_refused(server: Any) -> None:
    for token in (None, "", "x", TOKEN + "x", "\xfc" * 40):
        status, answer, headers = ask(server, "POST", INFER, GOOD, token=token)
        assert (status, answer["code"], headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert ask(server, "GET", "/v2/models/model", token=None)[0] == 401
    for path in ("/", "/v2/models/other", "/v2/models/model/../../etc", "/v2/models/%2e%2e/infer", "//v2"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, "DELETE", INFER)[0] == 405


def test_bodies_that_are_compressed_large_or_keyed_twice(server: Any) -> None:
    assert ask(server, "POST", INFER, GOOD, Content_Encoding="gzip")[0] == 415
    assert ask(server, "POST", INFER, GOOD, Inference_Header_Content_Length="999999")[0] == 400
    assert ask(server, "POST", INFER, GOOD, Idempotency_Key="one")[0] == 200
    assert ask(server, "POST", INFER, GOOD, Idempotency_Key="one")[0] == 200
    assert ask(server, "POST", INFER, changed(data=[0] * 24), Idempotency_Key="one")[0] == 409
    assert ask(server, "POST", INFER, GOOD, Idempotency_Key="x" * 129)[0] == 400


def test_tokens_and_inputs_are_not_logged(server: Any) -> None:
    ask(server, "POST", f"{INFER}?secret={TOKEN}", {**GOOD, "id": "an id of mine"})
    assert any('"route": "/v2/models/model/infer"' in line for line in server.lines)
    written = "".join(server.lines) + "".join(
        path.read_bytes().decode("latin-1")
        for path in Path(server.folder).iterdir()
        if path.name != "model.safetensors"
    )
    for secret in (TOKEN, "an id of mine", "secret"):
        assert secret not in written
    base = sqlite3.connect(server.folder / "log")
    assert base.execute("SELECT DISTINCT client FROM queries").fetchall() == [("me",)]
    base.close()


def test_versions_are_those_of_the_metadata(server: Any) -> None:
    (version,) = ask(server, "GET", "/v2/models/model")[1]["versions"]
    path = f"/v2/models/model/versions/{version}"
    assert ask(server, "GET", path)[1] == ask(server, "GET", "/v2/models/model")[1]
    assert ask(server, "GET", f"{path}/ready")[1]["ready"] is True
    assert ask(server, "POST", f"{path}/infer", GOOD)[1] == ask(server, "POST", INFER, GOOD)[1]
    assert ask(server, "GET", "/v2/models/model/versions/2")[0] == 404


def test_unauthenticated_clients_get_no_details(server: Any) -> None:
    assert ask(server, "GET", "/openapi.json", token=None)[0] == 401
    assert ask(server, "GET", "/v2/health/ready", token=None)[1] == {"ready": True}


@pytest.mark.slow
def test_a_web_page_may_not_ask_where_there_are_no_tokens(easy: bl.Network, start: Any) -> None:
    server = start(easy)
    assert ask(server, "POST", INFER, GOOD, token=None)[0] == 200
    for headers in ({"Origin": "http://page.example"}, {"Host": "page.example"}, {"Host": "127.0.0.1.page.example"}):
        status, answer, _ = ask(server, "POST", INFER, GOOD, token=None, **headers)
        assert (status, answer["code"]) == (403, "web_page")


def test_an_answer_that_json_cannot_express_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", 6)
    with bl.open_target(easy_network(), "loihi") as target, closing(ledger):
        served = ServedModel.of(target, ServeSettings("model", tmp_path / "log"), True)
        endpoint = Endpoint(served, Clients({}), ledger, Metrics(), RequestLog())
    query = Query(None, torch.zeros(1), b"digest", binary=False, spikes=True)
    for value in (float("nan"), float("inf")):
        with pytest.raises(Problem, match="which JSON cannot express") as raised:
            endpoint._answer(query, torch.tensor([[0.0, value]]))
        assert (raised.value.status, raised.value.code) == (406, "not_finite")
    binary = endpoint._answer(replace(query, binary=True), torch.tensor([[0.0, float("nan")]]))
    assert bytes(binary.body).endswith(b"\x00\x00\xc0\x7f")


@pytest.mark.slow
def test_a_third_party_client_gets_the_same_answers(server: Any) -> None:
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (the test extra)")
    client = triton.InferenceServerClient(server.root.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_model_metadata("model", headers=headers)["inputs"][0]["name"] == "spikes"
    spikes = (np.random.default_rng(0).random((5, 3, 12)) < 0.5).astype(np.uint8)
    with bl.open_target(easy_network(), "loihi") as target:
        counts = bl.BlackBox(target).query(spikes).numpy()
    for binary in (True, False):
        given = triton.InferInput("spikes", list(spikes.shape), "UINT8")
        given.set_data_from_numpy(spikes, binary_data=binary)
        wanted = [triton.InferRequestedOutput("counts", binary_data=binary)]
        result = client.infer("model", [given], outputs=wanted, headers=dict(headers))  # it adds to them
        np.testing.assert_array_equal(result.as_numpy("counts"), counts)
    client.close()


@pytest.mark.slow
def test_others_need_tokens_and_signals_end_it(easy: bl.Network, start: Any, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="give clients tokens"):
        start(easy, "--host", "0.0.0.0")
    server = start(easy, "--rate", "5")
    statuses = [ask(server, "GET", "/v2", token=None) for _ in range(30)]
    refused = [response for response in statuses if response[0] == 429]
    assert refused
    assert int(refused[0][2]["retry-after"]) >= 1
    assert server.end() == 0
    assert '"event": "ended"' in server.lines[-1]
