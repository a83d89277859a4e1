"""A script runs its main function after everything that it defines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts").rglob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_main_guard_comes_last(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    guards = [
        place for place, node in enumerate(body) if isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
    ]
    assert guards in ([], [len(body) - 1])
