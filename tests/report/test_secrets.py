"""What reports say about planted secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.one_page import one_page
from bl_neuro.report.page import REPORT, audit_pages
from bl_neuro.report.secrets import SecretLine, headline_row, log_chart, secret_legend, secret_panels, secret_sentences

Make = Callable[..., Findings]
MakePictures = Callable[[], Any]


def mean(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "seeds": 12, "n": 120}


def row(reveals: str, budget: int | None, value: float, on: str = "loihi", access: str = "black_box") -> dict[str, Any]:
    informed = {
        "substrate": on, "reveals": "label", "images": 2, "queries": 8.0, "recovered": mean(0.7, 0.6, 0.8),
        "exposure": mean(1.2, 1.0, 1.4),
    }  # fmt: skip
    return {
        "substrate": on, "attack": "v1" if access == "white_box" else "v2", "reveals": reveals, "access": access,
        "budget": budget, "queries": float(budget or 11), "recovered": mean(value, value - 0.1, value + 0.05),
        "bits": {"value": 1.5, "low": 1.0, "high": 1.8}, "exposure": mean(1.7, 1.5, 1.9), "informed": informed,
        "over_guessing": mean(value - 0.25, value - 0.35, value - 0.2), "over": "informed",
        "advantage": mean(value - 0.7, value - 0.78, value - 0.62), "mismatched": mean(0.26, 0.2, 0.32),
    }  # fmt: skip


def planted(**changes: Any) -> dict[str, Any]:
    rows = [row("scores", 8, 0.6), row("scores", 32, 0.9), row("label", 8, 0.5), row("label", 32, 0.8)]
    return {
        "kind": "rotation", "secret": "rotation of every class by a multiple of 90 degrees", "choices": 4,
        "chance": 0.25, "bits": 2.0, "classes": 10, "ceiling": 0.96, "accuracy": [], "margin": 0.07,
        "rows": [*rows, row("gradient", None, 0.95, access="white_box")], "informed": [rows[0]["informed"]],
        "comparisons": [], **changes,
    }  # fmt: skip


def test_the_first_sentence_is_the_advantage_of_the_poorest_view_with_its_intervals(make_audit: Make) -> None:
    results = make_audit(secrets=planted())
    first, second, third = secret_sentences(results)
    assert first.replace("\xa0", " ") == (
        "An attacker who can only query the network, sees the winning class alone and spends 32 queries per class "
        "recovers 80% of the planted secrets (the rotation of every class by a multiple of 90 degrees), 55.0 points "
        "more (95% interval +45.0 to +60.0) than guessing and 10.0 points more (95% interval +2.0 to +18.0) than an "
        "informed attacker who asks about every possible secret instead (8 queries per class), on loihi."
    )
    assert second.replace("\xa0", " ") == "With 8 queries per class it recovers 50% (40–55%)."
    assert third == "Guessing recovers 25%, and the reader reads 96% from test images."
    assert one_page(results).split("\n\n")[1].startswith("An attacker who can only query the network, sees the winning")


def test_a_disadvantage_is_called_less(make_audit: Make) -> None:
    results = make_audit(secrets=planted(rows=[row("label", 32, 0.6)]))
    assert "10.0 points less (95% interval" in secret_sentences(results)[0]


def test_without_black_box_attacks_the_white_box_leads(make_audit: Make) -> None:
    results = make_audit(secrets=planted(rows=[row("gradient", None, 0.95, access="white_box")]))
    assert results.secrets is not None
    leading = headline_row(results.secrets)
    assert leading is not None
    assert leading.reveals == "gradient"
    assert secret_sentences(results)[0].startswith("An attacker with the gradient of the network (white box) recovers")


def test_the_page_has_a_table_and_a_chart_of_every_output(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    page = audit_pages(make_audit(secrets=planted()), make_audit_pictures())[REPORT]
    assert '<h2 id="secrets">' in page
    assert '<h2 id="leakage">' in page
    section = page.partition('<h2 id="secrets">')[2].partition("</section>")[0]
    assert section.count("<figure>") == 2
    assert "recovered secrets against queries per class" in section
    assert "1.50 of 2" in section


def test_an_audit_of_secrets_alone_has_no_sections_about_judged_inversions(
    make_audit: Make, make_audit_pictures: MakePictures
) -> None:
    alone = make_audit(
        secrets=planted(), rows=[], evaluators=[], verdicts=[], alike=[], ladder=[], power=[], mitigations=[],
        replays=[], verification=[], controls=[], curves=[], inversions=[], stands_for={},
    )  # fmt: skip
    page = audit_pages(alone, make_audit_pictures())[REPORT]
    for key in ("pictures", "leakage", "curves", "pairs", "controls", "threats", "cells"):
        assert f'<h2 id="{key}">' not in page
    assert '<a class="skip" href="#secrets">' in page
    assert "No attack has been judged" not in page


def test_a_chart_has_a_logarithmic_axis() -> None:
    line = SecretLine("attack", "s0", ((8.0, 0.25), (32.0, 0.5), (128.0, 1.0)))
    chart = str(log_chart([line], 0.25, None, "words"))
    points = chart.partition('points="')[2].partition('"')[0].split()
    x = [float(point.split(",")[0]) for point in points]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    y = [float(point.split(",")[1]) for point in points]
    assert y[0] > y[1] > y[2]
    assert ">8</text>" in chart
    assert ">128</text>" in chart


def test_every_line_of_the_charts_is_in_the_legend(make_audit: Make) -> None:
    results = make_audit(secrets=planted())
    assert results.secrets is not None
    scores, label = (str(panel.chart) for panel in secret_panels(results.secrets))
    assert [name for name, _ in secret_legend(results.secrets)] == ["v2 on loihi", "informed attacker on loihi"]
    assert ("v2 on loihi: 60% to 90%" in scores, "informed attacker" in scores) == (True, False)
    assert ("v2 on loihi: 50% to 80%" in label, "informed attacker on loihi: 70% to 70%" in label) == (True, True)
