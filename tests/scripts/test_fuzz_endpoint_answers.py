"""A short run of the fuzzer of endpoint answers, and what it counts as a failure."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

SCRIPT = Path(__file__).parents[2] / "scripts" / "harden" / "fuzz_endpoint_answers.py"
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting"),
    pytest.mark.slow,
]


def test_attacks_on_60_hostile_endpoints_end_with_a_result_or_a_typed_error(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--count", "60", "--seed", "7", "--kept", str(tmp_path / "kept")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    assert (outcome["count"], outcome["failed"]) == (60, 0)
    assert set(outcome["outcomes"]) == {"attacked", "refused"}


def test_an_example_can_be_made_again_from_its_seed() -> None:
    example = importlib.import_module("endpoint_answers").example
    for seed in range(50):
        first, second = (json.dumps(example(np.random.default_rng(seed))) for _ in range(2))
        assert first == second


def test_what_counts_as_a_failure() -> None:
    failure = importlib.import_module("fuzz_endpoint_answers").failure
    fine = {"verdict": "refused", "detail": "", "seconds": 4.9, "mb": 999.0}
    assert failure(fine) is None
    assert failure({**fine, "seconds": 5.1}) == "took 5.10 s"
    assert failure({**fine, "mb": 1001.0}) == "grew by 1001 MB"
    assert failure({**fine, "verdict": "raised", "detail": "KeyError: 'x'"}) == "raised: KeyError: 'x'"
