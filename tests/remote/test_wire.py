"""A client sends spikes in the smallest form that the endpoint declares."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

import bl_neuro as bl
from bl_neuro.remote.tensors import from_bytes, from_json, unpack

SPIKES = torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.5
FRAME = SPIKES[:1].expand(4, 3, 5)


class Endpoint:
    """Accepts the forms it declares and records (form, body's size, spikes). Counts are those of the input."""

    def __init__(self) -> None:
        self.extensions: Any = []
        self.datatype = "UINT8"
        self.got: list[tuple[str, int, Tensor]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply({"extensions": outer.extensions} if self.path == "/v2" else outer.metadata())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                length = self.headers.get("Inference-Header-Content-Length")
                self.reply(outer.answer(body, len(body) if length is None else int(length)))

            def reply(self, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v2/models/m"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def metadata(self) -> Any:
        return {
            "platform": "bl_neuro",
            "inputs": [{"name": "spikes", "datatype": self.datatype, "shape": [-1, -1, 5]}],
            "outputs": [{"name": "counts", "datatype": "FP32", "shape": [-1, 5]}],
            "parameters": {"reveals": "counts", "layout": "time_first", "classes": 5},
        }

    def answer(self, body: bytes, length: int) -> Any:
        given = json.loads(body[:length])["inputs"][0]
        parameters = given.get("parameters", {})
        if "packed" in parameters:
            spikes = unpack(body[length:], parameters["packed"], given["shape"])
        elif "binary_data_size" in parameters:
            spikes = from_bytes(body[length:], given["datatype"], given["shape"])
        else:
            spikes = from_json(given["data"], given["datatype"], given["shape"])
        form = parameters.get("packed", "binary" if "binary_data_size" in parameters else "json")
        self.got.append((form, len(body) - length, spikes))
        counts = spikes.float().sum(0)
        output = {"name": "counts", "datatype": "FP32", "shape": list(counts.shape), "data": counts.flatten().tolist()}
        return {"model_name": "m", "outputs": [output]}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    ("extensions", "datatype", "spikes", "form", "size"),
    [
        (["binary_tensor_data", "packed_spikes"], "UINT8", SPIKES, "bits", 8),
        (["binary_tensor_data", "packed_spikes"], "UINT8", FRAME, "held", 2),
        (["binary_tensor_data", "packed_spikes"], "FP32", SPIKES, "binary", 240),
        (["binary_tensor_data", "packed_spikes"], "BOOL", SPIKES, "binary", 60),
        (["binary_tensor_data"], "UINT8", SPIKES, "binary", 60),
        (["binary_tensor_data"], "UINT8", FRAME, "binary", 60),
        (["binary_tensor_data", 7, None], "UINT8", SPIKES, "binary", 60),
        ([], "UINT8", SPIKES, "json", 0),
        (None, "UINT8", FRAME, "json", 0),
    ],
)
@pytest.mark.slow
def test_the_smallest_form_that_it_takes(
    extensions: Any, datatype: str, spikes: Tensor, form: str, size: int, endpoint: Endpoint
) -> None:
    endpoint.extensions, endpoint.datatype = extensions, datatype
    with bl.RemoteBlackBox(endpoint.url) as box:
        assert torch.equal(box.query(spikes), spikes.float().sum(0))
    received = endpoint.got[-1]
    assert received[:2] == (form, size)
    assert torch.equal(received[2].bool(), spikes)


def test_invalid_extension_lists_are_refused(endpoint: Endpoint) -> None:
    endpoint.extensions = "packed_spikes"
    with pytest.raises(bl.EndpointProtocolError, match="extensions: expected a list"):
        bl.RemoteBlackBox(endpoint.url)
