"""`bl-neuro attack URL` finds what `bl-neuro attack FILE` finds; `bl-neuro token` keeps no token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.deploy.serve.clients import Clients, add_client, hashes_of, read_token_file
from bl_neuro.errors import InputError


def test_attack_url(easy: bl.Network, start: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = start(easy)
    common = ["--attack", "v2", "--budget", "300", "--steps", "5", "--json"]
    found = []
    for place in ([server.url], [str(tmp_path / "model.safetensors"), "--backend", "loihi"]):
        assert run(["attack", *place, *common, "--out", str(tmp_path / f"out{len(found)}")]) == 0
        found.append(json.loads(capsys.readouterr().out))
    for same in ("attack", "status", "queries", "reveals", "budget", "settings"):
        assert found[0][same] == found[1][same]
    saved = [load_file(tmp_path / f"out{number}" / "inversions.safetensors") for number in (0, 1)]
    assert saved[0].keys() == saved[1].keys()
    assert all(torch.equal(value, saved[1][name]) for name, value in saved[0].items())
    assert run(["attack", server.url, "--attack", "v1"]) == 2
    assert "takes the network itself" in capsys.readouterr().err


def test_tokens(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    token = add_client(file, "me")
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    clients = Clients({**read_token_file(file), **hashes_of(["you:a-token-of-yours-x"], "--token")})
    assert clients.named(f"Bearer {token}") == "me"
    assert clients.named("bearer a-token-of-yours-x") == "you"
    for wrong in (None, "", "Bearer", f"Basic {token}", f"Bearer {token}x", token):
        assert clients.named(wrong) is None
    for bad in ("me", ":", "me:short", "m e:a-token-long-enough-x", "me:a token with spaces in it"):
        with pytest.raises(InputError, match="expected NAME:TOKEN") as raised:
            hashes_of([bad], "--token")
        assert "token-long" not in str(raised.value)
    with pytest.raises(InputError, match="expected a new name"):
        add_client(file, "me")
    file.write_text("me nothash")
    with pytest.raises(InputError, match=":1: expected"):
        read_token_file(file)
