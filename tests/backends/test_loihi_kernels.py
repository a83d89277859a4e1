"""The compiled kernels of the emulator: when they are compiled again, and where they are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bl_neuro.backends.loihi.compiled import kernel_folder, private_copy


def test_kernels_are_compiled_again_when_any_of_them_changes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(name)
    before = kernel_folder(tmp_path)
    assert before == kernel_folder(tmp_path)
    (tmp_path / "two.py").write_text("other")
    assert kernel_folder(tmp_path) != before


def test_a_cache_folder_that_cannot_be_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.py").write_text("one")
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path / "cache"))
    damaged = kernel_folder(tmp_path)
    assert damaged is not None
    assert damaged.parent == tmp_path / "__pycache__"
    damaged.write_text("a file in its place")
    assert kernel_folder(tmp_path) == tmp_path / "cache" / damaged.name
    damaged.unlink()
    (damaged / "loihi").mkdir(parents=True)
    assert kernel_folder(tmp_path) == damaged, "an empty cache is used"


def test_kernels_that_cannot_be_written_are_copied(tmp_path: Path) -> None:
    """As in an image of a container, whose file system is read-only."""
    assert private_copy(tmp_path) is None, "there are none"
    (tmp_path / "one.py").write_text("one")
    folder = kernel_folder(tmp_path)
    assert folder is not None
    (folder / "loihi_1").mkdir(parents=True)
    (folder / "loihi_1" / "kernel.nbi").write_text("index")
    copy = private_copy(tmp_path)
    assert copy is not None
    assert (copy / "loihi_1" / "kernel.nbi").read_text() == "index"
    assert copy.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_without_numbas_compilation_the_other_engine_gives_the_same_answer() -> None:
    code = """
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

network = random_dense(600, (12, 16, 6), biases=False)
print(bl.open_target(network, "loihi").run(random_spikes(network, 0, steps=10, batch=9)).spikes.nonzero().tolist())
try:
    bl.open_target(network, "loihi", engine="kernel")
except bl.InputError as error:
    print(error)
"""
    answers = []
    for value in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": value}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=True)
        answers.append(done.stdout.splitlines())
    assert answers[0] == answers[1][:1]
    assert "NUMBA_DISABLE_JIT" in answers[1][1]


@pytest.mark.slow
def test_kernels_work_without_a_cache_folder() -> None:
    code = """
import os, tempfile
def nothing(*args, **options): raise OSError("read-only")
tempfile.TemporaryFile = tempfile.mkdtemp = nothing
from bl_neuro.backends.loihi import compiled, vectors
assert compiled.kernel_folder() is None
print(compiled.compiled()(lambda: 1)())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
    (line,) = done.stderr.splitlines()
    assert "compiled at every start" in line
    assert "set BL_NEURO_CACHE" in line
