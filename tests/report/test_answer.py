"""The headline says what the rows say and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bl_neuro.report import Results, Row, answer
from bl_neuro.report.answer import control_verdict

Make = Callable[..., Results]
MakeRow = Callable[..., Row]


def control(make_row: MakeRow, value: float, low: float, high: float, attack: str = "v2") -> Row:
    return make_row(
        "snntorch", attack, kind="shuffled_labels", attack_accuracy=value, attack_accuracy_low=low,
        attack_accuracy_high=high, inversions="control",
    )  # fmt: skip


def test_rows_beside_the_control(make_results: Make) -> None:
    said = answer(make_results())
    assert said.lead == (
        "An attacker who can only query the network, is shown spike counts and spends 576 queries a class, gets "
        "pictures that an independent evaluator recognises as the intended class in 94–97% of cases on 4 substrates "
        "(95% intervals 88–99.5%).",
        "The same attack on a network trained on shuffled labels (snntorch) reaches 8% (95% interval 4–15%); "
        "guessing, 10%.",
    )
    assert said.more[0] == "Every interval lies above the control’s."
    assert "93% of cases on 3 substrates" in said.more[1]
    assert "non-spiking network" in said.more[2]
    assert str(said).endswith(said.limit)


def test_substrates_are_never_ranked(make_results: Make) -> None:
    said = answer(make_results())
    assert said.limit.startswith("Whether the substrates differ, or leak alike, cannot be concluded here")
    for word in ("better", "worse", "more than", "less than", "significant", "equivalent"):
        assert word not in str(said)


def test_one_substrate_has_its_own_limit(make_results: Make, make_row: MakeRow) -> None:
    said = answer(make_results(rows=[make_row("lava", "v2")]))
    assert "96% of cases on lava (95% interval 90–98%)" in said.lead[0]
    assert "One target was attacked" in said.limit


def test_white_box_leads_where_nothing_else_ran(make_results: Make, make_row: MakeRow) -> None:
    said = answer(make_results(rows=[make_row("norse", "v1")]))
    assert said.lead[0].startswith("With the gradient of the network (v1, white box)")
    assert said.lead[1].startswith("The control (v2) on a network trained on shuffled labels")


def test_without_a_control_nothing_is_made_up(make_results: Make) -> None:
    said = answer(make_results(controls=[]))
    assert said.lead[1].startswith("No null control was run")
    assert "control’s" not in str(said)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.7, 0.99, "No interval lies above the control’s"),
        (0.7, 0.905, "1 of 4 intervals lie above the control’s"),
    ],
)
def test_a_control_that_scores_is_said(
    make_results: Make, make_row: MakeRow, low: float, high: float, expected: str
) -> None:
    said = answer(make_results(controls=[control(make_row, 0.8, low, high)]))
    assert said.more[0].startswith(expected)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.08, 0.04, 0.15, "contains chance (10%), as it should"),
        (0.4, 0.3, 0.5, "above chance (10%): part of what these attacks score"),
        (0.0, 0.0, 0.04, "below chance (10%)"),
    ],
)
def test_how_a_control_came_out(make_row: MakeRow, value: float, low: float, high: float, expected: str) -> None:
    found = control(make_row, value, low, high)
    assert expected in control_verdict(found, 0.1)  # type: ignore[arg-type]
