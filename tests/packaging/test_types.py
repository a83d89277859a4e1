"""A project that uses bl-neuro can be type-checked against it as it is installed, from a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

USER = """\
import bl_neuro as bl

network = bl.load("model.net")
reveal_type(network)
bl.audit(3)
"""


def test_mypy_finds_the_types_of_the_installed_package(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="type checking needs the dev extra")
    (tmp_path / "user.py").write_text(USER)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "user.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "", "MYPYPATH": ""},
        capture_output=True,
        text=True,
        timeout=280,
    )
    lines = checked.stdout.splitlines()
    assert 'user.py:4: note: Revealed type is "bl_neuro.network.Network"' in lines, checked.stdout + checked.stderr
    assert any(line.startswith('user.py:5: error: Argument 1 to "audit"') for line in lines)
