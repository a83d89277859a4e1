"""Steps of deployment and mitigations in the headline, under every evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.experiment.findings.estimates import Verdict
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.effects import disagree, ladder_lines, mitigation_lines

Make = Callable[..., Findings]


def changed(verdict: dict[str, Any], significant: bool, value: float, word: str = "differs") -> dict[str, Any]:
    difference = {**verdict["difference"], "value": value, "low": value - 0.05, "high": value + 0.05}
    return {**verdict, "verdict": word, "found": significant, "identical": False, "difference": difference}


def tried(audit: Findings, kind: str, evaluator: str, significant: bool, value: float) -> dict[str, Any]:
    one = audit.mitigations[0].model_dump(by_alias=True)
    leakage = {**one["leakage"], "removed": changed(one["leakage"]["removed"], significant, value)}
    setting = {"query_cap": "320 queries"}.get(kind, f"setting of {kind}")
    return {**one, "mitigation": kind, "setting": setting, "evaluator": evaluator, "leakage": leakage}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((True, 0.1, "differs"), (True, 0.2, "differs"), False),
        ((True, 0.1, "differs"), (True, -0.1, "differs"), True),
        ((True, 0.1, "differs"), (False, 0.1, "inconclusive"), True),
        ((True, 0.1, "equivalent"), (True, 0.1, "differs"), True),
        ((False, 0.01, "equivalent"), (False, -0.01, "inconclusive"), False),
    ],
)
def test_evaluators_disagree_in_verdict_or_sign(
    audit: Findings, one: tuple[bool, float, str], other: tuple[bool, float, str], expected: bool
) -> None:
    base = audit.verdicts[0].verdict.model_dump()
    verdicts = [Verdict.model_validate(changed(base, *change)) for change in (one, other)]
    assert disagree(*verdicts) is disagree(*reversed(verdicts)) is expected


@pytest.mark.parametrize(
    ("significant", "value", "expected"),
    [
        (True, -0.25, "what v2 gets."),
        (
            False,
            -0.02,
            "what v2 gets. The evaluator spiking disagrees on “shows label” (−2.0 points, not shown; conv: −30.0 "
            "points, beyond the margin).",
        ),
        (
            True,
            0.25,
            "what v2 gets. The evaluator spiking disagrees on “shows label” (+25.0 points, beyond the margin; conv: "
            "−30.0 points, beyond the margin).",
        ),
    ],
)
def test_a_step_that_another_evaluator_does_not_see_is_reported(
    make_audit: Make, significant: bool, value: float, expected: str
) -> None:
    ladder = make_audit().ladder[0].model_dump()
    first, last = ladder["steps"]
    first = {**first, "change": {**first["change"], "found": False}}
    own = {**ladder, "steps": [first, {**last, "change": changed(last["change"], True, -0.3)}]}
    other = {
        **own,
        "evaluator": "spiking",
        "steps": [first, {**last, "change": changed(last["change"], significant, value)}],
    }
    (line,) = ladder_lines(make_audit(ladder=[own, other]))
    assert line.endswith(expected)


def test_a_step_that_only_another_evaluator_sees_is_reported(make_audit: Make) -> None:
    ladder = make_audit().ladder[0].model_dump()
    first, last = ({**step, "change": {**step["change"], "found": False}} for step in ladder["steps"])
    other = {
        **ladder,
        "evaluator": "spiking",
        "steps": [first, {**last, "change": changed(last["change"], True, -0.3)}],
    }
    lines = ladder_lines(make_audit(ladder=[{**ladder, "steps": [first, last]}, other]))
    assert lines == [
        "Under the evaluator conv, no single step of deployment was shown to change what v2 gets. The evaluator "
        "spiking disagrees on “shows label” (−30.0 points, beyond the margin; conv: −25.0 points, not shown)."
    ]


def test_a_cap_on_queries_is_not_ranked_with_the_others(make_audit: Make) -> None:
    plain = make_audit()
    cases = [
        tried(plain, "query_cap", "conv", True, 0.4),
        tried(plain, "query_cap", "spiking", False, 0.02),
        tried(plain, "noise", "conv", True, 0.2),
        tried(plain, "noise", "spiking", False, 0.03),
    ]
    assert mitigation_lines(make_audit(mitigations=cases)) == [
        "Under the evaluator conv, of the mitigations that leave the attacker’s budget alone, “setting of noise” "
        "removes most: 20.0 points from v2, scores (under spiking +3.0), at a cost of 2.0 points of the target’s "
        "accuracy. The evaluator spiking disagrees on “setting of noise” against v2, scores (+3.0 points, not shown; "
        "conv: +20.0 points, beyond the margin).",
        "Under the evaluator conv, caps on queries remove 40.0 points (under spiking +2.0), and hold honest users to "
        "the same number. The evaluator spiking disagrees on “no more than 320 queries” against v2, scores (+2.0 "
        "points, not shown; conv: +40.0 points, beyond the margin).",
    ]


def test_a_mitigation_that_only_another_evaluator_sees_is_reported(make_audit: Make) -> None:
    plain = make_audit()
    cases = [tried(plain, "noise", "conv", False, 0.2), tried(plain, "noise", "spiking", True, 0.2)]
    assert mitigation_lines(make_audit(mitigations=cases)) == [
        "Under the evaluator conv, the one mitigation was not shown to remove leakage. The evaluator spiking "
        "disagrees: “setting of noise” removes 20.0 points from v2, scores (under conv +20.0)."
    ]
    assert mitigation_lines(make_audit(mitigations=[])) == []


@pytest.mark.parametrize("values", [(0.3, 0.1 + 0.2), (0.1 + 0.2, 0.3)])
def test_of_equal_mitigations_the_first_is_named_whatever_their_last_bits(
    make_audit: Make, audit: Findings, values: tuple[float, float]
) -> None:
    kinds = zip(("rounding", "noise"), values)
    (sentence,) = mitigation_lines(
        make_audit(mitigations=[tried(audit, kind, audit.judge, True, value) for kind, value in kinds])
    )
    assert "setting of rounding” removes most: 30.0 points" in sentence
