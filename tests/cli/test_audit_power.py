"""The printed power of a plan, without impossible values."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.cli.audit_power import print_power
from bl_neuro.experiment.findings.estimates import PowerFinding

PLAN = {
    "attack": "v2", "reveals": "counts", "evaluator": "conv", "measure": "hit", "comparisons": 3, "seeds": 2,
    "inversions": 20, "spread": 0.05, "within": 0.3, "assumed": True, "smallest_difference": 2.475,
    "smallest_margin": 0.31, "equivalence_power": 0.08, "power": 0.8,
}  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    print_power([PowerFinding.model_validate({**PLAN, **changes})], 0.1)
    return capsys.readouterr().out


def test_undetectable_differences_are_printed_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed(capsys)
    assert "none" in output
    assert "247.5" not in output
    assert "31.0" in output
    assert "use more seeds" in output


def test_detectable_differences_are_printed_in_points(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed(capsys, smallest_difference=0.075)
    assert "7.5" in output
    assert "none" not in output


def test_one_target_tests_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_power([], 0.1)
    assert "With one target, or substrates of one arithmetic, no difference" in capsys.readouterr().out
    print_power([], 0.1, "restart")
    assert "With one restart of the attacks, or substrates of one arithmetic" in capsys.readouterr().out


def test_the_unit_of_a_given_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_power([PowerFinding.model_validate(PLAN)], 0.1, "restart")
    output = capsys.readouterr().out
    assert "in percentage points, over restarts" in output
    assert "use more restarts" in output
    assert "0.05 (between restarts)" in output
    assert "seed" not in output
