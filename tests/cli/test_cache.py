"""`bl-neuro cache`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_shows_and_clears_the_cache(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path))
    assert "of at most 0 MiB" in call("cache", "show").out, "it is turned off in tests"
    monkeypatch.setenv("BL_NEURO_CACHE_MIB", "3")
    for key in ("a" * 64, "b" * 64):
        (tmp_path / "trained" / key / "cells").mkdir(parents=True)
    (tmp_path / "trained" / key / "cells" / "half").write_text("{")
    (tmp_path / "costs.jsonl").write_text("")
    shown = json.loads(call("cache", "show", "--json").out)
    assert shown == {
        "folder": str(tmp_path),
        "bytes": 1,
        "limit": 3 * 2**20,
        "kinds": {"damaged": {"entries": 2, "bytes": 1}},
    }
    assert "of at most 3 MiB" in call("cache", "show").out
    remains = tmp_path / "trained" / ".of-a-killed-process"
    remains.mkdir()
    os.utime(remains, (0, 0))
    monkeypatch.setenv("BL_NEURO_CACHE_MIB", "0")
    assert "2 entries removed" in call("cache", "clear").out
    assert not remains.exists()
    assert (tmp_path / "costs.jsonl").exists()
    assert "0 entries removed" in call("cache", "clear", "--costs").out
    assert not (tmp_path / "costs.jsonl").exists()
