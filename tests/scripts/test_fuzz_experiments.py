"""A short run of the fuzzer of experiment files, and what it counts as a failure."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "harden" / "fuzz_experiments.py"
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    return importlib.import_module("fuzz_experiments")


def test_100_mutated_experiments_are_read_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--count", "100", "--seed", "7", "--kept", "kept"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    assert (outcome["count"], outcome["failed"]) == (100, 0)
    assert set(outcome["outcomes"]) == {"read", "refused", "not TOML"}
    assert not (tmp_path / "kept").exists()


def test_an_experiment_can_be_made_again_from_its_seed(fuzzer: ModuleType) -> None:
    sources = fuzzer.documents()
    for seed in range(50):
        one, two = (fuzzer.mutated(np.random.default_rng(seed), sources) for _ in range(2))
        assert one == two


def test_what_counts_as_a_failure(fuzzer: ModuleType) -> None:
    fine = {"verdict": "refused", "detail": "ExperimentError: x", "seconds": 1.9, "mb": 255.0}
    assert fuzzer.failure(fine) is None
    assert fuzzer.failure({**fine, "seconds": 2.1}) == "took 2.10 s"
    assert fuzzer.failure({**fine, "mb": 257.0}) == "grew by 257 MB"
    assert fuzzer.failure({**fine, "detail": "DataError: x"}) == "refused with another error: DataError: x"
    assert fuzzer.failure({**fine, "verdict": "raised", "detail": "TypeError"}) == "raised: TypeError"
