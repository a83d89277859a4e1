"""Terminals and pipes with another encoding than UTF-8: what it lacks is escaped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_characters_that_the_encoding_lacks_are_escaped(encoding: str) -> None:
    code = "from bl_neuro.cli import run; run(['--version']); from bl_neuro.cli.output import say; say('0–1 日')"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "0–1 日".encode(encoding, "backslashreplace")
