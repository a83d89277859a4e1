"""What `bl-neuro audit` prints about substrates that stand for others, and about equal spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bl_neuro.api.result import AuditResult
from bl_neuro.cli.audit_output import print_result
from bl_neuro.experiment.findings.models import Findings


def test_replays_and_verifications_are_printed(
    make_audit: Callable[..., Findings], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = make_audit().verification[0].model_dump()
    pairs = [{**made["pairs"][0], **change} for change in ({}, {"exact": True, "samples": 1}, {"promised": False})]
    findings = make_audit(verification=[{**made, "pairs": pairs}])
    print_result(AuditResult(findings, tmp_path), False)
    lines = capsys.readouterr().out.splitlines()
    assert "the figures of loihi stand for lava: 1 attack ran again on lava, equal to the last bit" in lines
    verified = "verified: the spikes of loihi and lava are equal in 999 of 1,000 bins of all layers"
    assert [line for line in lines if line.startswith("verified")] == [
        f"{verified}, 20 samples (BROKEN PROMISE)",
        f"{verified}, 1 sample (as promised)",
        f"{verified}, 20 samples (not promised)",
    ]


@pytest.mark.parametrize(("unit", "heading"), [("target seed", "seeds"), ("restart", "restarts")])
def test_the_column_of_units_is_named_after_them(
    unit: str, heading: str, make_audit: Callable[..., Findings], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_result(AuditResult(make_audit(unit=unit), tmp_path), False)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"Means and 95% intervals over {unit}s"
    head = " ".join(lines[:3]).split()
    assert [word for word in head if word in ("seeds", "restarts")] == [heading]
