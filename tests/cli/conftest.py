"""The command line, and models for it that take a second to train."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bl_neuro import save
from bl_neuro.cli import run
from bl_neuro.data import load_dataset, three_way_split
from bl_neuro.training import TargetPlan, train_evaluator, train_target

STEPS = 8


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def command() -> Callable[..., Said]:
    """Runs `bl-neuro` in a process of its own."""
    beside = Path(sys.executable).with_name("bl-neuro")
    program = [str(beside)] if beside.exists() else [shutil.which("bl-neuro") or pytest.fail("bl-neuro: not installed")]

    def execute(*arguments: object, timeout: float = 240) -> Said:
        words = [*program, *map(str, arguments)]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, env={**os.environ, "COLUMNS": "80"}
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return execute


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs `bl-neuro` in this process, which is quicker; an exception that gets out fails the test."""

    def execute(*arguments: object) -> Said:
        capfd.readouterr()
        code = run([str(word) for word in arguments])
        return Said(code, *capfd.readouterr())

    return execute


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small target and an evaluator of the digits."""
    folder = tmp_path_factory.mktemp("models")
    split = three_way_split(load_dataset("digits"), 0)
    plan = TargetPlan(hidden=(32,), steps=STEPS, proxy_epochs=25, spiking_epochs=1)
    save(train_target(split.target, plan), folder / "target.safetensors")
    train_evaluator(split.evaluator, steps=STEPS, epochs=12).save(folder / "evaluator.safetensors")
    return folder
