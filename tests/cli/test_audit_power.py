"""The printed power of a plan, without impossible values."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.cli.audit_power import print_power
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.margins import EvaluatorMargin

PLAN = {
    "attack": "v2", "reveals": "counts", "evaluator": "conv", "measure": "hit", "comparisons": 3, "seeds": 2,
    "inversions": 20, "spread": 0.05, "within": 0.3, "assumed": True, "smallest_difference": 2.475,
    "smallest_margin": 0.31, "equivalence_power": 0.08, "power": 0.8, "margin": 0.1,
}  # fmt: skip
MARGIN = EvaluatorMargin(
    evaluator="conv", margin=0.044, share=0.2, null=0.76, null_is="fonts", ceiling=0.98, reason="20% of the range"
)


def printed(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    print_power([PowerFinding.model_validate({**PLAN, **changes})], [MARGIN])
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
    assert "margin under conv, by what is finished: 4.4 points, 20% of the range" in output
    nothing = MARGIN.model_copy(update={"margin": None, "reason": "no range"})
    print_power([PowerFinding.model_validate({**PLAN, "margin": None})], [nothing])
    assert "conv, by what is finished: no margin, no range" in capsys.readouterr().out


def test_one_target_tests_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_power([], [])
    assert "With one target, or substrates of one arithmetic, no difference" in capsys.readouterr().out
    print_power([], [], "restart")
    assert "With one restart of the attacks, or substrates of one arithmetic" in capsys.readouterr().out


def test_the_unit_of_a_given_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_power([PowerFinding.model_validate(PLAN)], [], "restart")
    output = capsys.readouterr().out
    assert "in percentage points, over restarts" in output
    assert "use more restarts" in output
    assert "0.05 (between restarts)" in output
    assert "seed" not in output
