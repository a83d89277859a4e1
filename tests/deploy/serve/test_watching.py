"""The Prometheus page counts queries and reveals no content; a taken port is an error of one line."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.cli import run

pytestmark = pytest.mark.slow

TOKENS = {"me": "a-token-of-mine-1", "you": "a-token-of-yours"}
ELSEWHERE = "127.0.0.2"
"""Another address of this machine."""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        yield line.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as line:
        return int(line.getsockname()[1])


def page(port: int) -> str:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/metrics")
    text = client.getresponse().read().decode()
    client.close()
    return text


def measure(text: str, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert match, text
    return float(match[1])


def test_the_page(easy: bl.Network, start: Any) -> None:
    port = free_port()
    tokens = [word for name, token in TOKENS.items() for word in ("--token", f"{name}:{token}")]
    server = start(easy, "--metrics-port", str(port), "--host", "0.0.0.0", *tokens)
    for name, asked in (("me", 3), ("you", 2)):
        with server.box(token=TOKENS[name]) as box:
            box.query(torch.ones(2, asked, 12))
    with pytest.raises(bl.EndpointRefused):
        server.box(token="an-unknown-token-of-none")
    text = page(port)
    assert measure(text, 'bl_neuro_queries_total{client="me"}') == 3
    assert measure(text, 'bl_neuro_queries_total{client="you"}') == 2
    assert measure(text, 'bl_neuro_requests_total{route="/v2/models/model/infer",status="200"}') == 2
    assert measure(text, 'bl_neuro_requests_total{route="/v2/models/model",status="401"}') == 1
    assert measure(text, "bl_neuro_batch_requests_sum") == 2
    assert measure(text, 'bl_neuro_batch_requests_bucket{le="1.0"}') == 2
    assert measure(text, "bl_neuro_run_seconds_count") == 2
    assert measure(text, "bl_neuro_waiting_samples") == 0
    assert measure(text, "bl_neuro_failures_total") == 0
    labels = set(re.findall(r"(\w+)=\"", text))
    assert labels == {"client", "route", "status", "le"}
    assert not any(token in text for token in (*TOKENS.values(), "an-unknown-token-of-none"))


def test_the_page_is_this_machine_s_alone(easy: bl.Network, start: Any) -> None:
    port = free_port()
    server = start(easy, "--metrics-port", str(port), "--host", "0.0.0.0", "--token", f"me:{TOKENS['me']}")
    assert page(port)
    try:
        socket.create_connection((ELSEWHERE, int(server.root.rpartition(":")[2])), timeout=5).close()
    except OSError:
        pytest.skip(f"this machine does not answer at {ELSEWHERE}")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ELSEWHERE, port), timeout=5)


@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
def test_a_port_that_is_taken(
    option: str, taken: int, easy: bl.Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    model = tmp_path / "model.safetensors"
    bl.save(easy, model)
    ports = {"--port": "0", option: str(taken)}
    arguments = ["serve", str(model), "--log", str(tmp_path / "log")]
    try:
        assert run([*arguments, *(word for pair in ports.items() for word in pair)]) == 2
    finally:
        torch.set_num_threads(before)
    message = capsys.readouterr().err
    assert f"{option} {taken}: cannot listen: Address already in use" in message
    assert message.count("\n") == 1
