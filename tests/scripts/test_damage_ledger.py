"""A short run of the kills and corruptions of a query log, and what counts as a failure."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("filelock", reason="filelock is not installed (the serve extra)")

SCRIPT = Path(__file__).parents[2] / "scripts" / "harden" / "damage_ledger.py"
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's namespaces and fork"),
    pytest.mark.slow,
]


def test_12_kills_and_12_corruptions_never_answer_above_the_budget(tmp_path: Path) -> None:
    out, first = tmp_path / "results.json", tmp_path / "first.json"
    for count in (6, 12):  # the second run continues the first
        command = [sys.executable, str(SCRIPT), "--count", str(count), "--out", str(out)]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        if not first.exists():
            first.hardlink_to(out)
    assert sum(json.loads(first.read_text())["trials_of"].values()) == 12  # the file was replaced, not overwritten
    results = json.loads(out.read_text())
    assert results["failed"] == 0
    assert sum(results["trials_of"].values()) == 24
    assert max(results["most_answers"].values()) <= results["budget"]


def test_what_counts_as_a_failure() -> None:
    failure = importlib.import_module("damage_ledger").failure
    reason = "refused: the seal counts 5 entries, and the log has only 4"
    assert failure("cut", 20, [reason], [reason]) is None
    assert failure("cut", 21, [], []) == "21 answers of a budget of 20"
    assert failure("cut", 3, ["ended without a word"], []) == "no reason was given: ['ended without a word']"
    assert failure("kill", 20, [reason], [reason]) == f"a kill alone: 20 answers, ['{reason}']"
    assert failure("kill", 18, [], []) == "a kill alone: 18 answers, []"
