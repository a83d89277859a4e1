"""What reports say of attackers who ask nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.experiment.findings.estimates import BaselineFinding, Mean
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.advantage import (
    advantage_rows,
    advantage_sentences,
    baseline_lines,
    ends_of_advantage,
    left_out,
    none_of_these,
)
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.limits import limits
from bl_neuro.report.one_page import one_page
from bl_neuro.report.page import REPORT, audit_pages

KNOWS = "which character each class is"
UNMEASURED = "No attacker who asks nothing was measured"


def mean(value: float, low: float | None, high: float | None) -> Mean:
    return Mean(value=value, low=low, high=high, seeds=4, n=40)


def compared(audit: Findings) -> Findings:
    """The audit, with fonts that reach .97 under each evaluator and an advantage of each own row over them."""
    rows, gains = [], iter(range(100))
    for row in audit.rows:
        evaluators = {}
        for name, judged in row.evaluators.items():
            gain = -0.02 + 0.01 * (next(gains) % 3)
            extra = {
                "baseline": "printed fonts, centred",
                "knowledge": KNOWS,
                "baseline_accuracy": mean(0.97, 0.92, 1.0),
                "advantage": mean(gain, -0.09, 0.04),
                "rejected": 0.25,
            }
            evaluators[name] = judged.model_copy(update=extra) if row.own else judged
        rows.append(row.model_copy(update={"evaluators": evaluators}))
    fonts = [
        BaselineFinding(
            baseline="fonts", title="printed fonts", layout="centred", knowledge=KNOWS, evaluator=evaluator.name,
            attack=None, reveals=None, attack_accuracy=mean(0.97, 0.92, 1.0), rejected=0.1,
        )
        for evaluator in audit.evaluators
    ]  # fmt: skip
    judges = [part.model_copy(update={"certain_by": "its highest class probability"}) for part in audit.evaluators]
    absent = {"auxiliary_mean": "the experiment names no public data ([auxiliary])"}
    changes: dict[str, Any] = {"rows": rows, "baselines": fonts, "evaluators": judges, "baselines_left_out": absent}
    return audit.model_copy(update=changes)


def test_the_answer_leads_with_a_short_sentence_on_the_advantage(audit: Findings) -> None:
    leakage = audit_answer(compared(audit)).leakage
    first, _, rest = leakage.partition(". Best without a query: ")
    assert first.startswith("An attacker who can only query the network gains ")
    assert "points of attack accuracy over the best attacker who asks nothing under the evaluator" in first
    assert f"{audit.judge} (95% intervals −9.0 to +4.0)" in first
    for evaluator in audit.evaluators[1:]:
        assert f" under {evaluator.name} (95% intervals −9.0 to +4.0)" in first
    assert len(first.split()) < 45
    others = "".join(f"; under {evaluator.name} 97%" for evaluator in audit.evaluators[1:])
    assert rest.startswith(f"printed fonts, centred (97%{others}), knowing {KNOWS}. An attacker who")
    assert audit_answer(audit).leakage in leakage


def test_one_row_has_one_value_and_one_interval(audit: Findings) -> None:
    row = compared(audit).own_rows[0]
    sentence = advantage_sentences([row], [audit.judge], "an attacker")
    assert sentence.startswith("An attacker does not beat the best attacker who asks nothing: −2.0 points of")
    assert f"{audit.judge} (95% interval −9.0 to +4.0). Best without a query: printed fonts" in sentence
    assert advantage_sentences(audit.own_rows, [audit.judge], "an attacker") == ""


def test_an_unknown_end_is_no_interval(audit: Findings) -> None:
    assert ends_of_advantage(mean(0.1, None, None)) == "no interval"
    assert ends_of_advantage(mean(0.1, -1.2, 0.3)) == "−100.0 to +30.0"


def test_every_own_row_has_a_line_with_its_baseline(audit: Findings) -> None:
    results = compared(audit)
    lines = advantage_rows(results)
    assert len(lines) == sum(len(row.evaluators) for row in results.own_rows)
    assert all(line[4] == "printed fonts, centred: 97% (92–100%)" for line in lines)
    assert advantage_rows(audit) == []


def test_pages_show_both_columns_only_where_they_were_measured(
    audit: Findings, make_audit_pictures: Callable[[], Any]
) -> None:
    with_, without = (audit_pages(results, make_audit_pictures())[REPORT] for results in (compared(audit), audit))
    for words in (
        "Best without a query",
        "Advantage, points",
        'id="baselines"',
        "none of these 10%",
        "auxiliary_mean does",
    ):
        assert words in with_
        assert words not in without
    summary = one_page(compared(audit))
    assert "| printed fonts, centred | 97% (92–100%) |" in summary
    assert "## Advantage" not in one_page(audit)


def test_what_was_not_measured_is_a_limit(audit: Findings) -> None:
    assert any(text.startswith(UNMEASURED) for text in limits(audit))
    assert not any(text.startswith(UNMEASURED) for text in limits(compared(audit)))
    assert left_out(compared(audit)) == [
        "auxiliary_mean does not apply: the experiment names no public data ([auxiliary])."
    ]


def test_evaluators_say_what_they_would_reject(audit: Findings) -> None:
    sentences = none_of_these(compared(audit))
    assert len(sentences) == len(audit.evaluators)
    assert "would answer “none of these” to 25% of the inversions: its highest class probability is" in sentences[0]
    assert none_of_these(audit) == []


def test_a_baseline_is_one_line_for_all_evaluators(audit: Findings) -> None:
    (line,) = baseline_lines(compared(audit))
    assert line.title == "printed fonts, centred"
    assert line.detail == f"knows {KNOWS}"
    assert set(line.means) == set(line.rejected) == {evaluator.name for evaluator in audit.evaluators}


@pytest.mark.parametrize("mark", ["<b>", "&amp;x"])
def test_names_are_escaped(mark: str, audit: Findings, make_audit_pictures: Callable[[], Any]) -> None:
    named = compared(audit)
    fonts = [finding.model_copy(update={"title": f"fonts {mark}"}) for finding in named.baselines]
    page = audit_pages(named.model_copy(update={"baselines": fonts}), make_audit_pictures())[REPORT]
    assert f"fonts {mark}" not in page
