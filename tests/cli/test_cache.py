"""`bl-neuro cache`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_shows_and_clears_the_cache(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "turned off by BL_NEURO_CACHE_MIB=0" in call("cache", "show").err
    monkeypatch.setenv("BL_NEURO_CACHE_MIB", "3")
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path))
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
    assert "2 entries removed" in call("cache", "clear").out
    assert (tmp_path / "costs.jsonl").exists()
    assert "0 entries removed" in call("cache", "clear", "--costs").out
    assert not (tmp_path / "costs.jsonl").exists()
