"""The server: its limit of connections, TLS, and its key files."""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.deploy.serve import server

pytestmark = pytest.mark.slow

ENDLESS = resource.RLIM_INFINITY
WANTED = server.MAX_CONNECTIONS + server.SPARE_FILES


@pytest.mark.parametrize(
    ("limits", "connections", "raised_to"),
    [
        ((256, ENDLESS), server.MAX_CONNECTIONS, WANTED),
        ((1024, 2**20), server.MAX_CONNECTIONS, WANTED),
        ((2**20, 2**20), server.MAX_CONNECTIONS, None),
        ((ENDLESS, ENDLESS), server.MAX_CONNECTIONS, None),
        ((1024, 1024), 1024 - server.SPARE_FILES, None),
        ((256, 1024), 1024 - server.SPARE_FILES, 1024),
        ((400, 400), 100, None),
    ],
)
def test_connections_fit_the_files(
    limits: tuple[int, int], connections: int, raised_to: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: raised.append(to))
    assert server._max_connections() == connections
    assert raised == ([] if raised_to is None else [(raised_to, limits[1])])


trustme = pytest.importorskip("trustme", reason="trustme is not installed (the test extra)")


class Files:
    """An authority, and a certificate of it for this machine."""

    def __init__(self, folder: Path, name: str = "") -> None:
        made = trustme.CA()
        issued = made.issue_cert("127.0.0.1")
        self.authority, self.certificate, self.key = (
            folder / f"{name}{suffix}.pem" for suffix in ("ca", "cert", "key")
        )
        made.cert_pem.write_to_path(str(self.authority))
        issued.private_key_pem.write_to_path(str(self.key))
        for part in issued.cert_chain_pems:
            part.write_to_path(str(self.certificate), append=True)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def threads() -> Iterator[None]:
    """Serving in this process sets torch's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_an_attack_over_tls(
    files: Files, easy: bl.Network, start: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start(easy, "--tls-certificate", str(files.certificate), "--tls-key", str(files.key))
    url = server.url.replace("http://", "https://")
    given = torch.rand(5, 4, 12, generator=torch.Generator().manual_seed(2)) < 0.5
    with bl.open_target(easy, "loihi") as target:
        expected = bl.BlackBox(target).query(given)
    with bl.RemoteBlackBox(url, certificates=str(files.authority)) as box:
        assert torch.equal(box.query(given), expected)
    arguments = ["attack", url, "--budget", "100", "--steps", "4", "--json"]
    assert run([*arguments, "--certificates", str(files.authority)]) == 0
    over_tls = json.loads(capsys.readouterr().out)
    assert run(["attack", str(tmp_path / "model.safetensors"), "--backend", "loihi", *arguments[2:]]) == 0
    at_home = json.loads(capsys.readouterr().out)
    assert (over_tls["status"], over_tls["queries"]) == (at_home["status"], at_home["queries"])

    with pytest.raises(bl.EndpointRefused, match=r"TLS failed.*give the PEM file of its authority \(certificates"):
        bl.RemoteBlackBox(url)
    assert run(arguments) == 2
    assert "--certificates" in capsys.readouterr().err
    with pytest.raises(bl.EndpointRefused, match="give the PEM file of its authority"):
        bl.RemoteBlackBox(url, certificates=str(Files(tmp_path, "other-").authority))


def test_an_answer_ends_where_the_server_says_goodbye(files: Files, easy: bl.Network, start: Any) -> None:
    server = start(easy, "--tls-certificate", str(files.certificate), "--tls-key", str(files.key))
    context = ssl.create_default_context(cafile=str(files.authority))
    address = ("127.0.0.1", int(server.root.rpartition(":")[2]))
    line = socket.create_connection(address, timeout=20)
    with context.wrap_socket(line, server_hostname="127.0.0.1") as inside:
        inside.sendall(b"GET /v2/health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
        got = b""
        while part := inside.recv(4096):
            got += part
    assert got.endswith(b'{"live":true}')


@pytest.mark.parametrize("wrong", [b"", b"no PEM at all", b"-----BEGIN CERTIFICATE-----\nAAAA\n", None])
def test_invalid_certificate_authorities_are_refused(wrong: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "authority"
    if wrong is not None:
        file.write_bytes(wrong)
    with pytest.raises(bl.InputError, match=f"certificates: {file}: "):
        bl.RemoteBlackBox("https://127.0.0.1:9/v2/models/x", certificates=str(file))


def refused(model: Path, certificate: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that `bl-neuro serve` says."""
    arguments = ["serve", str(model), "--port", "0", "--log", str(model.with_name("log"))]
    assert run([*arguments, "--tls-certificate", str(certificate), "--tls-key", str(key)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Traceback" not in message
    return message


@pytest.mark.usefixtures("threads")
def test_a_mismatched_certificate_and_key_are_refused(
    files: Files, easy: bl.Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, text = tmp_path / "model.safetensors", tmp_path / "text"
    bl.save(easy, model)
    text.write_text("no PEM at all")
    other = Files(tmp_path, "other-")
    missing = tmp_path / "missing"
    reason = f"{missing}: expected a file that can be read (No such file"
    assert reason in refused(model, missing, files.key, capsys)
    assert reason in refused(model, files.certificate, missing, capsys)
    assert f"--tls-certificate {text}: expected a PEM file" in refused(model, text, files.key, capsys)
    assert f"--tls-key {text}: expected a PEM file" in refused(model, files.certificate, text, capsys)
    assert "expected the key of" in refused(model, files.certificate, other.key, capsys)
    assert "expected a certificate and its private key" in refused(model, files.key, files.certificate, capsys)
    files.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "expected a certificate and its private key" in refused(model, files.certificate, files.key, capsys)
    assert "expected both or neither" in _alone(model, other.key, capsys)


def _alone(model: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["serve", str(model), "--tls-key", str(key)]) == 2
    return capsys.readouterr().err


@pytest.mark.usefixtures("threads")
def test_a_key_with_a_passphrase(
    files: Files, easy: bl.Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that asked for it at the terminal would wait there."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    kept = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)
    files.key.write_bytes(pem)
    bl.save(easy, tmp_path / "model.safetensors")
    message = refused(tmp_path / "model.safetensors", files.certificate, files.key, capsys)
    assert "without a passphrase" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.usefixtures("threads")
def test_an_unreadable_key_is_refused(
    files: Files, easy: bl.Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bl.save(easy, tmp_path / "model.safetensors")
    files.key.chmod(0)
    message = refused(tmp_path / "model.safetensors", files.certificate, files.key, capsys)
    assert f"{files.key}: expected a file that can be read (Permission denied" in message
