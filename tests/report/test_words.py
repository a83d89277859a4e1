"""Numbers print with sensible digits, and rounding never claims certainty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.experiment.findings.estimates import ControlFinding, Verdict
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report import words


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0%"), (1.0, "100%"), (0.94, "94%"), (0.995, "99.5%"), (0.9996, "99.96%"), (0.002, "0.2%"),
     (0.9999999, ">99.999%"), (0.0000001, "<0.001%")],
)  # fmt: skip
def test_percent(value: float, expected: str) -> None:
    assert words.percent(value) == expected


def test_percent_takes_decimals() -> None:
    assert words.percent(0.9667, 1) == "96.7%"


@pytest.mark.parametrize(("classes", "expected"), [(10, "10%"), (40, "2.5%"), (3, "33.3%"), (2, "50%")])
def test_chance(classes: int, expected: str) -> None:
    assert words.chance_label(1 / classes) == expected


def test_percent_range() -> None:
    assert words.percent_range(0.881, 0.995) == "88–99.5%"
    assert words.percent_range(0.93, 0.931) == "93%"


@pytest.mark.parametrize(("value", "expected"), [(-0.041, "−0.04"), (-0.001, "0.00"), (0.314, "0.31"), (1.0, "1.00")])
def test_decimal(value: float, expected: str) -> None:
    assert words.decimal(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(576.0, "576"), (1840.4, "1,840"), (2.5, "2.5"), (0, "0")])
def test_amount(value: float, expected: str) -> None:
    assert words.amount(value) == expected


@pytest.fixture
def base(audit: Findings) -> dict[str, Any]:
    return {**audit.verdicts[0].verdict.model_dump(), "identical": False, "found": False, "seeds_needed": 25}


def verdict(base: dict[str, Any], word: str, value: float = 0.05, *, seeds: int = 16, **changes: Any) -> Verdict:
    difference = {"value": value, "low": value - 0.04, "high": value + 0.04, "seeds": seeds, "n": 160}
    return Verdict.model_validate({**base, "verdict": word, "difference": difference, **changes})


@pytest.mark.parametrize(
    ("word", "changes", "expected"),
    [
        ("differs", {"found": True}, ("removes leakage", "")),
        ("differs", {"found": True, "value": -0.05}, ("adds leakage", "")),
        ("equivalent", {}, ("removes less than 10 points", "")),
        ("equivalent", {"margin": 0.075}, ("removes less than 7.5 points", "")),
        ("equivalent", {"found": True}, ("removes less than 10 points", "a small effect")),
        (
            "equivalent", {"found": True, "value": -0.05},
            ("removes less than 10 points", "a small effect: it adds leakage"),
        ),
        ("equivalent", {"identical": True}, ("removed nothing here", "every inversion scores the same (n = 160)")),
        ("inconclusive", {}, ("open", "about 25 seeds")),
        ("inconclusive", {"seeds": 3, "seeds_needed": 12}, ("open", "about 12 seeds")),
    ],
)  # fmt: skip
def test_effects_of_mitigations(
    base: dict[str, Any], word: str, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    effect = verdict(base, word, **changes)
    assert (words.effect(effect), words.effect_footing(effect)) == expected


def test_intervals_stay_within_what_can_be(base: dict[str, Any]) -> None:
    wide = {"value": 0.15, "low": -4.297, "high": 4.597, "seeds": 2, "n": 20}
    comparison = Verdict.model_validate({**base, "verdict": "inconclusive", "difference": wide})
    line = "open: +15.0 points (−100.0 to +100.0), about 25 seeds"
    assert words.verdict_line(comparison) == line
    assert words.seen(2.475) == "none"
    assert words.seen(0.0751) == "7.5"


@pytest.mark.parametrize(
    ("value", "p", "above", "expected"),
    [
        (0.2, 0.01, True, "above chance"),
        (0.02, 0.0004, False, "below chance"),
        (0.02, 0.3, False, "not above chance"),
        (0.12, 0.3, False, "not above chance"),
        (0.02, None, False, "not above chance"),
        (0.02, None, None, "not judged"),
    ],
)
def test_null_controls_against_chance(
    audit: Findings, value: float, p: float | None, above: bool | None, expected: str
) -> None:
    base = audit.controls[0].model_dump()
    estimate = {**base["estimate"], "value": value}
    control = ControlFinding.model_validate({**base, "estimate": estimate, "adjusted_p": p, "above_chance": above})
    assert words.against_chance(control) == expected


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0, "p < 0.001"), (0.00099, "p < 0.001"), (0.012, "p 0.012"), (1.0, "p 1.000")]
)
def test_p(p: float, expected: str) -> None:
    assert words.p_value(p) == expected


def test_steps_that_reveal_less_are_explained_by_the_attack(make_audit: Callable[..., Findings]) -> None:
    results = make_audit()
    ladder = results.ladder[0].model_dump()
    last = {**ladder["levels"][-1], "rung": "reveals label"}

    def note(attack: str, *attacks: dict[str, str]) -> str:
        shown = {**ladder, "attack": attack, "levels": [*ladder["levels"][:-1], last]}
        return words.shown_less(make_audit(ladder=[shown], experiment={"attacks": list(attacks)}))

    own = BrainLeaksV2.ladder_note
    assert note("v2") == f"{own} {words.SHOWN_LESS}"
    assert note("small", {"attack": "v2", "label": "small"}) == f"{own} {words.SHOWN_LESS}"
    assert note("random") == note("gone") == words.SHOWN_LESS
    whole = {**ladder, "levels": [{**level, "rung": "float"} for level in ladder["levels"]]}
    assert words.shown_less(make_audit(ladder=[whole])) == ""


@pytest.mark.parametrize(
    ("seeds", "n", "detectable", "blind", "expected"),
    [
        (
            4,
            160,
            0.18,
            False,
            "160 inversions of 4 target seeds would show, with a probability of 80%, an accuracy of 18%",
        ),
        (4, 40, 0.31, True, "an accuracy of 31% or more"),
        (1, 160, 0.18, True, "or more; one target seed says nothing of others"),
        (1, 2, 1.0, True, "2 inversions of 1 target seed cannot show any excess over chance"),
        (4, 160, None, False, ""),
    ],
)
def test_what_a_null_control_can_show(
    audit: Findings, seeds: int, n: int, detectable: float | None, blind: bool, expected: str
) -> None:
    made = audit.controls[0]
    estimate = made.estimate.model_copy(update={"seeds": seeds, "n": n})
    control = made.model_copy(update={"estimate": estimate, "detectable": detectable, "above_chance": False})
    assert words.blind(control) is blind
    assert expected in words.seen_by_control(control)
