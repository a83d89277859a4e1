"""`bl-neuro attack URL` gives the result of `bl-neuro attack FILE`; `bl-neuro token` stores no token."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.deploy.serve.clients import Clients, add_client, hashes_of, read_token_file
from bl_neuro.errors import InputError

pytestmark = pytest.mark.slow


def test_attack_url(easy: bl.Network, start: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = start(easy)
    common = ["--attack", "v2", "--budget", "300", "--steps", "5", "--json"]
    results: list[Any] = []
    for place in ([server.url], [str(tmp_path / "model.safetensors"), "--backend", "loihi"]):
        assert run(["attack", *place, *common, "--out", str(tmp_path / f"out{len(results)}")]) == 0
        results.append(json.loads(capsys.readouterr().out))
    for same in ("attack", "status", "queries", "reveals", "budget", "settings"):
        assert results[0][same] == results[1][same]
    saved = [load_file(tmp_path / f"out{number}" / "inversions.safetensors") for number in (0, 1)]
    assert saved[0].keys() == saved[1].keys()
    assert all(torch.equal(value, saved[1][name]) for name, value in saved[0].items())
    assert run(["attack", server.url, "--attack", "v1"]) == 2
    assert "this attack needs the network" in capsys.readouterr().err


def test_an_attack_that_ended_early_is_kept_and_goes_on_at_no_charge(
    easy: bl.Network, start: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--attack", "v2", "--budget", "300", "--steps", "5", "--session", "mine", "--json"]
    out = ["--out", str(tmp_path / "out"), "--force"]
    poor = start(easy, "--budget", "200")
    assert run(["attack", poor.url, *words, *out]) == 2
    output = capsys.readouterr()
    assert "are left of this client's budget" in output.err
    facts = json.loads(output.out)
    assert facts == json.loads((tmp_path / "out" / "attack.json").read_text())
    assert (facts["status"], facts["budget"]) == ("stopped", 300)
    before = facts["queries"]
    assert 0 < before <= 200
    poor.end()
    rich = start(easy, "--budget", "300")
    assert run(["attack", rich.url, *words, *out]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 300
    with pytest.raises(
        bl.BudgetExceeded, match="budget is spent"
    ):  # 300 were charged, of `before` + 300 that were asked
        rich.box()


def test_the_options_of_an_endpoint_are_options_of_python(easy: bl.Network, start: Any) -> None:
    server = start(easy, "--token", "me:the-token-of-this-client", "--budget", "300")
    options: Any = {"token": "the-token-of-this-client", "session": "mine", "certificates": None}
    results = [bl.attack_network(server.url, steps=5, budget=300, endpoint=options) for _ in range(2)]
    assert [result.facts.queries for result in results] == [300, 300]  # the session is not charged again
    with pytest.raises(bl.EndpointRefused):
        bl.attack_network(server.url, steps=5, budget=300)
    with pytest.raises(InputError, match=r"endpoint: expected options among token, .*, found tokens"):
        bl.attack_network(server.url, endpoint={"tokens": "x"})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="endpoint: these options apply to the URL of an endpoint"):
        bl.attack_network(easy, endpoint=options)
    with pytest.raises(InputError, match="substrate: an endpoint already runs its network somewhere"):
        bl.attack_network(server.url, substrate="loihi", endpoint=options)


def test_a_smaller_budget_and_an_unencrypted_token_are_reported(
    easy: bl.Network, start: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(easy, "--budget", "200")
    monkeypatch.setattr("bl_neuro.remote.connection._is_here", lambda host: False)
    words = ["--budget", "300", "--steps", "5", "--token", "a-token"]
    assert run(["attack", server.url, *words]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("warning: ")
    assert "sent unencrypted" in lines[0]
    assert "The endpoint allows 200 of the 300 requested queries." in lines


def test_options_without_effect_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attack", "http://127.0.0.1:9/v2/models/m", "--layers", "3"]) == 2
    assert "--layers: not applicable to an endpoint" in capsys.readouterr().err
    assert run(["attack", "http://127.0.0.1:9/v2/models/m", "--backend", "loihi"]) == 2
    assert "--backend: not applicable to an endpoint" in capsys.readouterr().err
    assert run(["attack", str(tmp_path / "m.net"), "--token", "x", "--session", "y"]) == 2
    assert "--token, --session: not applicable to a file" in capsys.readouterr().err


def test_an_empty_list_of_clients_admits_no_one(
    easy: bl.Network, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, clients = tmp_path / "model.safetensors", tmp_path / "clients.txt"
    bl.save(easy, model)
    clients.write_text("# nobody yet\n")
    assert run(["serve", str(model), "--token-file", str(clients), "--port", "0"]) == 2
    assert f"{clients}: expected at least one client" in capsys.readouterr().err
    monkeypatch.setenv("BL_NEURO_TOKENS", "")
    assert run(["serve", str(model), "--port", "0"]) == 2
    assert "BL_NEURO_TOKENS: expected at least one client" in capsys.readouterr().err


def test_tokens(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    token = add_client(file, "me")
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    clients = Clients({**read_token_file(file), **hashes_of(["you:a-token-of-yours-x"], "--token")})
    assert clients.authenticated(f"Bearer {token}") == "me"
    assert clients.authenticated("bearer a-token-of-yours-x") == "you"
    for wrong in (None, "", "Bearer", f"Basic {token}", f"Bearer {token}x", token):
        assert clients.authenticated(wrong) is None
    for bad in ("me", ":", "me:short", "m e:a-token-long-enough-x", "me:a token with spaces in it"):
        with pytest.raises(InputError, match="expected NAME:TOKEN") as raised:
            hashes_of([bad], "--token")
        assert "token-long" not in str(raised.value)
    with pytest.raises(InputError, match="already exists"):
        add_client(file, "me")
    file.write_text("me nothash")
    with pytest.raises(InputError, match=":1: expected"):
        read_token_file(file)


def test_a_token_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"me {'0' * 64}\n", encoding="utf-8-sig")
    assert read_token_file(tmp_path / "tokens") == {"me": "0" * 64}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full (Linux)")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_token_that_cannot_be_printed_is_not_kept(options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    words = [sys.executable, "-m", "bl_neuro", "token", "me", "--file", str(file), *options]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: output: ")
    assert read_token_file(file) == {}
    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert list(read_token_file(file)) == ["me"]
    token = json.loads(made)["token"] if options else made.strip()
    assert Clients(read_token_file(file)).authenticated(f"Bearer {token}") == "me"


def test_a_token_file_is_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "tokens").symlink_to(tmp_path / "precious.txt")
    with pytest.raises(OSError, match="expected a regular file or a free name, found a symbolic link"):
        add_client(tmp_path / "tokens", "me")
    assert not (tmp_path / "precious.txt").exists()
