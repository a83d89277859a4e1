"""The tables under results/ are what their scripts make of the measurements beside them, none written by hand.

They are so on every processor: what is printed does not depend on the last bits of sums, which differ from one to the
next.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import black_box_table
import numpy as np
import pytest
import reproduce_att_faces
import reproduce_gestures
import reproduce_mnist
import reproduce_nmnist
from paper_table import Results

from bl_neuro.experiment.findings.models import AuditResults
from bl_neuro.report.one_page import one_page

RESULTS = Path(__file__).parent.parent / "results"


def kept(report: Callable[[Results], str]) -> Callable[[Path], str]:
    """The text of a script that goes on from what it kept."""
    return lambda path: report(Results(path, json.loads(path.read_text())["settings"]))


def nudged(function: Callable[..., Any], nudge: float) -> Callable[..., Any]:
    """The function with other last bits."""
    return lambda *args, **options: function(*args, **options) * nudge


TABLES = pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mnist-black-box", lambda path: black_box_table.table(json.loads(path.read_text()))),
        ("paper-mnist", kept(reproduce_mnist.report)),
        ("paper-att-faces", kept(reproduce_att_faces.report)),
        ("paper-nmnist", kept(reproduce_nmnist.report)),
        ("paper-gestures", kept(reproduce_gestures.report)),
    ],
)
AUDITS = pytest.mark.parametrize("name", ["audit-digits", "audit-digits-clean", "audit-mnist"])
NUDGES = pytest.mark.parametrize("nudge", [1 - 2**-48, 1 + 2**-48], ids=["down", "up"])
"""Factors that change the last four bits of a number, as another order of adding may."""


@TABLES
def test_a_table_is_made_from_what_was_measured(name: str, text: Callable[[Path], str]) -> None:
    assert (RESULTS / f"{name}.md").read_text() == text(RESULTS / f"{name}.json")


@TABLES
@NUDGES
def test_a_table_does_not_depend_on_last_bits(
    name: str, text: Callable[[Path], str], nudge: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in ("mean", "std", "quantile"):
        monkeypatch.setattr(np, function, nudged(getattr(np, function), nudge))
    assert (RESULTS / f"{name}.md").read_text() == text(RESULTS / f"{name}.json")


def test_the_readme_has_the_table_of_mnist() -> None:
    table = black_box_table.readme_table(json.loads(black_box_table.RESULTS.read_text()))
    assert f"{black_box_table.BEGIN}{table}{black_box_table.END}" in black_box_table.README.read_text(encoding="utf-8")


@AUDITS
def test_the_summary_of_an_audit_is_made_from_its_results(name: str) -> None:
    results = AuditResults.from_json((RESULTS / name / "results.json").read_text())
    assert (RESULTS / name / "summary.md").read_text() == one_page(results)


@AUDITS
@NUDGES
def test_the_summary_of_an_audit_does_not_depend_on_last_bits(name: str, nudge: float) -> None:
    results = json.loads((RESULTS / name / "results.json").read_text(), parse_float=lambda text: nudge * float(text))
    assert (RESULTS / name / "summary.md").read_text() == one_page(AuditResults.from_json(json.dumps(results)))
