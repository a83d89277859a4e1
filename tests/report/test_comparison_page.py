"""The page of audits that are compared."""

from __future__ import annotations

import re
from collections.abc import Callable

from bl_neuro.experiment.comparison import compare_runs
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.comparison_page import comparison_answer, comparison_page, interval_units

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.split("</style>")[1]))


def test_the_page_has_rows_verdicts_and_settings(audit: Findings, make_audit: Callable[..., Findings]) -> None:
    other = make_audit(lambda target, *_: 0.5 if target == "trained" else 0.1, experiment={"name": "b", "restarts": 2})
    comparison = compare_runs({"first": audit, "second": other})
    text = text_of(comparison_page(comparison))
    assert comparison_answer(comparison) in text
    assert "first less second snntorch, conv" in text
    assert "40 inversions of 4 target seeds" in text
    assert "restarts 1 2" in text
    assert "v2, scores loihi, untrained targets, conv" in text


def test_the_answer_counts_what_came_out(audit: Findings, make_audit: Callable[..., Findings]) -> None:
    same = comparison_answer(compare_runs({"one": audit, "other": audit}))
    assert same == "Under the evaluator conv, of 9 paired comparisons, 9 are identical; the margin is 10 points."
    other = make_audit(lambda target, *_: 0.2 if target == "trained" else 0.1)
    answer = comparison_answer(compare_runs({"one": audit, "other": other}))
    assert answer == "Under the evaluator conv, of 9 paired comparisons, 9 differ; the margin is 10 points."


def test_unpaired_results_state_the_reason(audit: Findings, make_audit: Callable[..., Findings]) -> None:
    judges = [{**evaluator.model_dump(), "address": "another"} for evaluator in audit.evaluators]
    text = text_of(comparison_page(compare_runs({"first": audit, "second": make_audit(evaluators=judges)})))
    assert "not paired another evaluator: trained in another way, or on other data" in text
    assert "no verdict: another evaluator: trained in another way, or on other data." in text


def test_intervals_of_given_models_are_over_restarts(audit: Findings, make_audit: Callable[..., Findings]) -> None:
    given = make_audit(unit="restart")
    assert interval_units(compare_runs({"one": given, "other": given})) == "restarts"
    mixed = compare_runs({"first": audit, "second": given})
    assert interval_units(mixed) == "target seeds or restarts"
    text = text_of(comparison_page(mixed))
    assert "95% interval over the target seeds or restarts of each run" in text
    assert "4 target seeds, " in text
    assert "1 restart, " in text


def test_runs_of_different_arithmetics_that_agree_are_not_identical(make_audit: Callable[..., Findings]) -> None:
    def all_hit(*_: str) -> float:
        return 1.0

    one, other = make_audit(all_hit), make_audit(all_hit, arithmetic={"loihi": "real", "snntorch": "loihi"})
    answer = comparison_answer(compare_runs({"one": one, "other": other}))
    assert answer.startswith("Under the evaluator conv, of 9 paired comparisons, 9 are open;")


def test_hostile_names_are_text(audit: Findings, make_audit: Callable[..., Findings]) -> None:
    other = make_audit(name=HOSTILE, experiment={HOSTILE: HOSTILE})
    page = comparison_page(compare_runs({HOSTILE: audit, f"{HOSTILE}2": other}))
    assert "<script" not in page
    assert "<img" not in page
    assert "alert(1)" in page
