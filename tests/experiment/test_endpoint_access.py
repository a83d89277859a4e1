"""An experiment file of somebody else reaches no other machine and no secret, unless the user allows it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.definition import EndpointPart
from bl_neuro.experiment.endpoint_access import need_allowed, need_tokens, read_token
from bl_neuro.experiment.experiment_file import experiment_from, read_experiment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPERIMENT = """\
name = "served"
steps = 4
substrates = ["chip"]
dataset = {{ name = "digits" }}
evaluators = [{{ kind = "conv", epochs = 0 }}]
attacks = [{{ attack = "v2", reveals = ["counts"] }}]

[[endpoints]]
name = "chip"
url = "{url}"
reveals = "counts"
token = "{token}"
input_shape = [64]
"""
MODEL = "/v2/models/a"


def experiment(folder: Path, url: str, token: str = "BL_NEURO_TOKEN") -> Path:
    file = folder / "served.toml"
    file.write_text(EXPERIMENT.format(url=url, token=token))
    return file


def endpoint(url: str) -> EndpointPart:
    return EndpointPart(name="chip", url=url, reveals="counts")


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str | None]]]:
    """A server on this machine that records the Authorization headers it receives."""
    received: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers["Authorization"])
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{MODEL}", received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "HOME", "BL_NEURO_TOKENS", "BL_NEURO_", "XBL_NEURO_TOKEN"])
def test_tokens_come_from_variables_of_our_prefix(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "a-secret")
    with pytest.raises(ExperimentError, match=r"line 12: endpoints.0.token: "):
        read_experiment(experiment(tmp_path, f"http://127.0.0.1{MODEL}", name))
    read_experiment(experiment(tmp_path, f"http://127.0.0.1{MODEL}", "BL_NEURO_TOKEN_OF_A_CHIP"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:8000", "127.3.2.1", "[::1]:80"])
def test_endpoints_of_this_machine_need_no_flag(host: str) -> None:
    need_allowed([endpoint(f"http://{host}{MODEL}"), endpoint(f"https://{host}{MODEL}")], allowed=False)


@pytest.mark.parametrize(
    "host",
    ["example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "[::2]", "127.0.0.1\\example.org",
     "0.0.0.0", "localhost:80:example.org", "2130706433", "example.org/127.0.0.1", "LOCALHOST.example.org"],
)  # fmt: skip
def test_endpoints_elsewhere_need_a_flag(host: str) -> None:
    """Also where an experiment file could not name them."""
    elsewhere = EndpointPart.model_construct(name="chip", url=f"http://{host}{MODEL}", reveals="counts")
    parts = [endpoint(f"http://127.0.0.1{MODEL}"), elsewhere]
    with pytest.raises(ExperimentError, match=r"allow it with --allow-endpoints \(allow_endpoints=True in Python\)"):
        need_allowed(parts, allowed=False)
    need_allowed(parts, allowed=True)


def test_an_audit_asks_before_anything_is_sent_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BL_NEURO_TOKEN", "a-secret")
    file = experiment(tmp_path, f"https://example.invalid{MODEL}")
    assert run(["audit", str(file), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"to chip (https://example.invalid{MODEL})" in error
    assert "--allow-endpoints" in error
    assert not (tmp_path / "out").exists()
    with pytest.raises(ExperimentError, match="allow_endpoints=True"):
        bl.audit(file, tmp_path / "out")


def test_an_experiment_written_in_python_needs_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BL_NEURO_TOKEN", raising=False)
    made = experiment_from(
        tomllib.loads(EXPERIMENT.format(url=f"https://example.invalid{MODEL}", token="BL_NEURO_TOKEN"))
    )
    with pytest.raises(ExperimentError, match="BL_NEURO_TOKEN is not set"):  # the next check
        bl.audit(made, tmp_path / "out")


@pytest.mark.slow
def test_the_token_in_a_file_is_the_one_that_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: tuple[str, list[str | None]]
) -> None:
    url, received = listener
    monkeypatch.setenv("BL_NEURO_TOKEN", "from-the-environment")
    (tmp_path / "token").write_text("\ufefffrom-the-file\r\n", encoding="utf-8")
    file = experiment(tmp_path, url)
    for number, options in enumerate(([], ["--token-file", str(tmp_path / "token")])):
        assert run(["audit", str(file), "--out", str(tmp_path / f"out-{number}"), "--json", *options]) == 1
    assert set(received) == {"Bearer from-the-environment", "Bearer from-the-file"}
    written = [path.read_bytes() for path in (tmp_path / "out-1").rglob("*") if path.is_file()]
    assert json.loads((tmp_path / "out-1" / "experiment.json").read_text())["endpoints"][0]["token"] == "BL_NEURO_TOKEN"
    assert not any(b"from-the-file" in content for content in written)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", "ü".encode(), b"x" * 5000])
def test_other_token_files_are_refused_without_repeating_them(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InputError, match="expected one line of printable ASCII characters") as caught:
        need_tokens([], tmp_path / "token")
    assert "lines" not in str(caught.value)
    for missing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="expected a file with the token of the endpoints"):
            read_token(missing)


def test_a_model_file_has_no_endpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(tmp_path / "model.net"), "--dataset", "digits", "--allow-endpoints"]) == 2
    assert "only for experiments, but this is a model file" in capsys.readouterr().err
