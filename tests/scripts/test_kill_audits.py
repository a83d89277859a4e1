"""The trial that kills audits reports the failures it looks for."""

from __future__ import annotations

import importlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bl_neuro.seeding import stream

kills = importlib.import_module("kill_audits")
RESULT: dict[str, Any] = {
    "command": "python scripts/harden/kill_audits.py",
    "seed": 0,
    "audits": 1,
    "cells": 2,
    "files": 3,
    "runs": 2,
    "kills": [{"what": "run", "audit": "killed-1", "cells_done": 1}],
    "disks": None,
    "problems": [],
}


@pytest.fixture
def trial(tmp_path: Path) -> Any:
    """An undisturbed audit of two cells, one of them with tensors, and a copy of it."""
    for name in ("cells/a.json", "cells/b.json", "cells/b.safetensors", "times/a.json", "times/b.json"):
        path = tmp_path / "undisturbed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    shutil.copytree(tmp_path / "undisturbed", tmp_path / "killed-1")
    return kills.Trial(tmp_path, ["--jobs", "2"])


def test_different_results_are_listed(trial: Any) -> None:
    out = trial.work / "killed-1"
    (out / "times" / "a.json").write_text("another time")
    assert kills.compared(trial, out) == []
    assert kills.finished(out).items() ^ kills.finished(trial.undisturbed).items() != set()  # it ran twice
    (out / "cells" / "a.json").unlink()
    (out / "cells" / "b.safetensors").write_text("another inversion")
    (out / "failed").mkdir()
    (out / "failed" / "a.json").write_text("")
    assert kills.compared(trial, out) == [
        "killed-1: a.json is not as undisturbed",
        "killed-1: b.safetensors is not as undisturbed",
        "killed-1: a.json failed",
    ]


def test_a_victim_is_killed_and_an_ended_run_is_reported() -> None:
    worker = "import signal, sys; sys.argv = ['bl_neuro.experiment.running.worker']; print(flush=True); signal.pause()"
    name = "bl_neuro.experiment.running.worker"
    parent = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {worker!r}, {name!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        run.stdout.readline()
        (child,) = psutil.Process(run.pid).children()
        everyone = kills.strike(run, "worker", stream(0, "test"), 0.0)
        assert everyone == [psutil.Process(run.pid), child]
        assert run.wait(60) == 0
        assert kills.remain(everyone) == []
        assert kills.strike(run, "run", stream(0, "test"), 0.0) is None
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as run:
        assert kills.strike(run, "run", stream(0, "test"), 0.0) is not None
        assert run.wait(60) == -signal.SIGKILL


def test_the_page_says_what_was_wrong() -> None:
    assert "byte for byte" in " ".join(kills.page(RESULT).split())
    page = kills.page({**RESULT, "problems": ["killed-1: a.json failed"]})
    assert "NOT as it should be" in page
    assert "- killed-1: a.json failed" in page
    assert "byte for byte" not in " ".join(page.split())
    disks = {"full": "No space left on device", "read_only": "Read-only file system", "kept": 1, "later": 2}
    assert "1 cells were kept" in kills.page({**RESULT, "disks": disks})
