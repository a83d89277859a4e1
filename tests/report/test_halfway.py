"""What reports say of substrates halfway, and of inversions and single samples."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.halfway_models import HalfwayComparison, HalfwayFinding, HalfwayLevel
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.findings.nearest_members_models import NearestMembersFinding
from bl_neuro.report.halfway import halfway_rows
from bl_neuro.report.limits import limits
from bl_neuro.report.nearest_members import nearest_rows
from bl_neuro.report.one_page import one_page
from bl_neuro.report.page import REPORT, audit_pages
from tests.report.conftest import MadeUpPictures


def mean(value: float) -> Mean:
    return Mean(value=value, low=value - 0.05, high=value + 0.05, seeds=4, n=40)


@pytest.fixture(scope="module")
def measured(audit: Findings) -> Findings:
    verdict = next(one for one in audit.verdicts if one.measure == "hit").verdict
    compared = HalfwayComparison(measure="hit", first=["snntorch"], second=["loihi"], verdict=verdict, sentence="")
    levels = [
        HalfwayLevel(substrate=name, attack_accuracy=mean(value))
        for name, value in [("snntorch", 0.8), ("norse", 0.8), ("loihi", 0.7)]
    ]
    reached = HalfwayFinding(
        attack="v2", reveals="counts", evaluator="conv", floor=0.6, floor_of="guessing", final=0.9, queries=96.0,
        at_start=True, seeds=4, levels=levels, comparisons=[compared],
    )  # fmt: skip
    nothing: dict[str, Any] = {"final": 0.5, "queries": None, "at_start": False, "levels": [], "comparisons": []}
    never = reached.model_copy(update=nothing)
    nearest = [
        NearestMembersFinding(
            substrate=name, attack="v2", reveals="counts", auc=mean(0.51), aucs={0: 0.5, 1: 0.52}, members=898,
            others=540, redrawn=True,
            sentence="Resemble training samples barely more than other samples of their class (AUC 0.510).",
        )
        for name in ("snntorch", "norse")
    ]  # fmt: skip
    return audit.model_copy(update={"halfway": [reached, never], "nearest_members": nearest})


def test_rows_state_budget_range_levels_and_difference(measured: Findings) -> None:
    reached, never = halfway_rows(measured)
    assert reached[1:5] == [
        "conv", "96 queries, at its start", "60% → 75% → 90%", "snntorch and norse 80%; loihi 70%",
    ]  # fmt: skip
    assert reached[5].startswith("snntorch less loihi: ")
    assert never[2:] == ["none: ends at or below its floor", "60% → 50%", "", "–"]


def test_substrates_with_the_same_auc_share_a_row(measured: Findings) -> None:
    ((_, substrates, auc, interval, words),) = nearest_rows(measured)
    assert (substrates, auc, interval) == ("snntorch, norse", "0.510", "0.460 to 0.560")
    assert words == "Resemble training samples barely more than other samples of their class"


def test_summary_and_page_have_both(measured: Findings, audit: Findings) -> None:
    page, summary = audit_pages(measured, MadeUpPictures())[REPORT], one_page(measured)
    for text in ("Where attacks are halfway", "Classes or samples", "barely more than other samples", "96 queries"):
        assert text in page, text
        assert text in summary, text
    assert "Where attacks are halfway" not in one_page(audit)


def test_limits_say_what_intervals_do_not_cover(audit: Findings) -> None:
    for redraw, words in ((True, "another dataset would give"), (False, "One split of the data and one training")):
        told = audit.model_copy(update={"experiment": {"dataset": {"name": "digits", "redraw": redraw}}})
        assert sum(words in text for text in limits(told)) == 1
    assert not any("One split of the data" in text for text in limits(audit))  # results of before there was a choice
