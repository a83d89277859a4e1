"""A short run of the fuzzer of data files, and what it counts as a failure."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "harden" / "fuzz_data_files.py"
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    return importlib.import_module("fuzz_data_files")


@pytest.mark.parametrize("name", ["npz", "images", "idx", "events"])
def test_60_mutated_examples_are_read_or_refused(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), name, "--count", "60", "--seed", "7", "--kept", "kept"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    assert (outcome["count"], outcome["failed"]) == (60, 0)
    assert set(outcome["outcomes"]) == {"read", "refused"}
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("name", ["npz", "images", "idx", "events"])
def test_an_example_can_be_made_again_from_its_seed(
    name: str, fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(20):
        contents = []
        for moment in (1e9, 2e9):  # archives may hold the time at which they were written
            folder = tmp_path / f"{seed}-{moment:.0f}"
            folder.mkdir()
            with monkeypatch.context() as patch:
                patch.setattr("time.time", lambda moment=moment: moment)
                fuzzer.FORMATS[name](folder, np.random.default_rng(seed))
            contents.append([path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()])
        assert contents[0] == contents[1]


def test_what_counts_as_a_failure(fuzzer: ModuleType) -> None:
    fine = {"verdict": "refused", "detail": "", "seconds": 4.9, "mb": 255.0}
    assert fuzzer.failure(fine, 0) is None
    assert fuzzer.failure({**fine, "seconds": 5.1}, 0) == "took 5.10 s"
    assert fuzzer.failure({**fine, "mb": 257.0}, 0) == "grew by 257 MB"
    assert fuzzer.failure({**fine, "mb": 257.0}, 2**20) is None
    assert fuzzer.failure({**fine, "verdict": "crashed", "detail": "exit code -11"}, 0) == "crashed: exit code -11"
