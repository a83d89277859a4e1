"""Lava in another interpreter: its choice, whether it has Lava, and that it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.backends import registry as interpreter
from bl_neuro.backends.lava.backend import PYTHON_VARIABLE
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.testing.random_networks import random_dense, random_spikes

NETWORK = random_dense(700, (6, 5, 4), biases=False)
LAVA = find_backend("lava")


def script(path: Path, text: str) -> str:
    """A script in the place of an interpreter."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter without any package: this one, isolated from what is installed."""
    return script(tmp_path / "bare", f'exec {sys.executable} -S -E "$@"')


def test_the_default_is_the_running_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    assert LAVA.other_python() is None
    monkeypatch.setenv(PYTHON_VARIABLE, "")
    assert LAVA.other_python() is None
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    assert LAVA.other_python() is None


def test_the_option_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/one/python")
    assert LAVA.other_python(deadline_s=3) == "/one/python"
    assert LAVA.other_python(python=Path("/two/python")) == "/two/python"


@pytest.mark.parametrize("python", [3.10, "", b"python", ["python"]])
def test_values_that_are_not_paths_are_refused(python: Any) -> None:
    with pytest.raises(bl.InputError, match="python: expected the path of an interpreter"):
        bl.open_target(NETWORK, "lava", python=python)


def test_an_interpreter_without_lava_is_named_with_its_version(bare: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = sys.version.split()[0]
    message = rf"lava\.magma, lava\.lib\.dl\.netx not installed in the interpreter .*bare \(Python {version}\)"
    with pytest.raises(bl.MissingDependency, match=message):
        bl.open_target(NETWORK, "lava", python=bare)
    monkeypatch.setenv(PYTHON_VARIABLE, bare)
    assert "not installed in the interpreter" in (missing_reason(LAVA) or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo hello", "not a working Python interpreter .exit status 0.: nothing"),
        ("echo no chip >&2; exit 3", "exit status 3.: no chip"),
    ],
)
def test_a_program_that_is_not_python_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(bl.MissingDependency, match=message):
        bl.open_target(NETWORK, "lava", python=script(tmp_path / "odd", text))


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(bl.MissingDependency, match=r"python9 does not start: .*No such file"):
        bl.open_target(NETWORK, "lava", python=tmp_path / "python9")


def test_an_unresponsive_interpreter_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "PROBE_S", 0.2)
    assert "did not answer" in (interpreter.missing_in(script(tmp_path / "deaf", "exec sleep 60"), ["json"]) or "")


def test_only_failed_probes_are_repeated(tmp_path: Path) -> None:
    counting = script(tmp_path / "counting", f'echo . >> {tmp_path}/asked\nexec {sys.executable} "$@"')
    for _ in range(3):
        assert interpreter.missing_in(counting, ["json"]) is None
    assert (tmp_path / "asked").read_text().count(".") == 1
    for _ in range(2):
        assert "nothing_of_the_kind" in (interpreter.missing_in(counting, ["nothing_of_the_kind"]) or "")
    assert (tmp_path / "asked").read_text().count(".") == 3


@pytest.mark.lava
def test_lava_answers_from_another_interpreter(
    needs: Callable[[str], None], left_behind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is configured, or this one under another path."""
    needs("lava")
    other = os.environ.get(PYTHON_VARIABLE) or script(tmp_path / "other", f'exec {sys.executable} "$@"')
    monkeypatch.setenv(PYTHON_VARIABLE, other)
    spikes = random_spikes(NETWORK, 0, steps=6, batch=3)
    with bl.open_target(NETWORK, "loihi") as emulator, bl.open_target(NETWORK, "lava") as lava:
        assert isinstance(lava, LavaTarget)
        assert lava.run(spikes).spikes.equal(emulator.run(spikes).spikes)
        command = Path(f"/proc/{lava.pids[0]}/cmdline").read_bytes().decode().split("\0")
        assert os.path.samefile(command[0], other) or command[0] == sys.executable


CHILD_IMPORTS = """
import sys
sys.path.insert(0, sys.argv[1])
import child
print([name for name in sys.modules if name.split(".")[0] in ("bl_neuro", "torch", "numpy")])
"""


def test_the_child_does_not_import_this_package() -> None:
    folder = Path(interpreter.__file__).parent / "lava"
    command = [sys.executable, "-S", "-E", "-c", CHILD_IMPORTS, str(folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
    for name in ("child", "simulation"):
        assert "import bl_neuro" not in (folder / f"{name}.py").read_text().replace("from bl_neuro", "import bl_neuro")
