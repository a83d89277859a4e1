"""Terminals and pipes with another encoding than UTF-8: what it lacks is escaped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_characters_that_the_encoding_lacks_are_escaped(encoding: str) -> None:
    code = (
        "from bl_neuro.cli import run; run(['--version'])\n"
        "from bl_neuro.cli.output import print_table, say; say('0–1 日')\n"
        "print_table('Größe Ж', ['名', '≤'], [['Ж', '1'], ['x' * 300, '2']])"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stderr == b""
    expected = [text.encode(encoding, "backslashreplace") for text in ("0–1 日", "Größe Ж")]
    assert done.stdout.splitlines()[1:3] == expected
