"""What reports say about planted secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.one_page import one_page
from bl_neuro.report.page import REPORT, audit_pages
from bl_neuro.report.secrets import (
    SecretLine,
    headline_row,
    log_chart,
    secret_legend,
    secret_lines,
    secret_panels,
    secret_sentences,
)

Make = Callable[..., Findings]
MakePictures = Callable[[], Any]


def mean(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "seeds": 12, "n": 120}


def row(reveals: str, budget: int | None, value: float, on: str = "loihi", access: str = "black_box") -> dict[str, Any]:
    informed = {
        "substrate": on, "reveals": "label", "images": 2, "queries": 8.0, "recovered": mean(0.7, 0.6, 0.8),
        "exposure": mean(1.2, 1.0, 1.4), "mismatched": mean(0.25, 0.2, 0.3),
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
        "comparisons": [], "twins": [], "guessed_exposure": 0.85, "repetitions": [], **changes,
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


def compared(value: float, verdict: str) -> dict[str, Any]:
    difference = mean(value, value - 0.05, value + 0.05)
    return {
        "attack": "v2", "twin_attack": "v2", "reveals": "label", "substrate": "loihi", "recovered": 0.6 + value,
        "twin_recovered": 0.6, "accuracy": 0.97, "twin_accuracy": 0.95,
        "verdict": {
            "verdict": verdict, "found": verdict == "differs", "difference": difference, "bootstrap": difference,
            "standardized": 1.0, "p": 0.01, "adjusted_p": 0.02, "p_equivalent": 0.5, "adjusted_p_equivalent": 0.5,
            "margin": 0.07, "identical": False, "seeds_needed": None,
        },
    }  # fmt: skip


def test_twins_are_compared_in_words_and_their_rows_do_not_lead(
    make_audit: Make, make_audit_pictures: MakePictures
) -> None:
    by_gradient = {**compared(0.1, "differs"), "attack": "v1", "twin_attack": "ann", "reveals": "gradient"}
    rows = [row("label", 32, 0.8), row("label", 128, 0.9, on="ann"), row("gradient", None, 0.9, "ann", "ann")]
    results = make_audit(secrets=planted(rows=rows, twins=[compared(-0.1, "differs"), by_gradient]))
    assert results.secrets is not None
    leading = headline_row(results.secrets)
    assert leading is not None
    assert leading.substrate == "loihi"
    (sentence,) = [line for line in secret_lines(results) if "twins" in line]
    assert sentence == (
        "Do spiking networks on loihi give away less of planted secrets than their ANN twins, at accuracies of 97% and "
        "95%? Of 2 comparisons, less in 1, more in 1 and equally much in 0; 0 open. Recovered from both, and their "
        "difference: v2, label: 50% and 60%, differs: −10.0 points (−15.0 to −5.0); v1 and ANN baseline, gradient: 70% "
        "and 60%, differs: +10.0 points (+5.0 to +15.0)."
    )
    assert "| v2, label | 50% | 60% | differs: −10.0 points" in one_page(results)
    page = audit_pages(results, make_audit_pictures())[REPORT]
    assert "(accuracies 97% and 95%)" in page
    assert "one of recipes, not of spiking as such" in page


def test_canaries_are_told_by_repetition(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    repeated = [
        {
            "substrate": "loihi", "attack": attack, "reveals": "scores", "queries": 64.0, "copies": copies,
            "recovered": mean(0.5, 0.4, 0.6), "exposure": mean(exposure, exposure - 0.5, exposure + 0.5),
        }
        for attack, copies, exposure in ((None, 1, 1.0), (None, 4, 2.0), (None, 16, 5.0), ("v2", 1, 1.5))
    ]  # fmt: skip
    changes: dict[str, Any] = {"bits": 6.0, "choices": 64, "guessed_exposure": 1.38, "kind": "canary"}
    results = make_audit(secrets=planted(repetitions=repeated, **changes))
    assert secret_sentences(results)[2] == (
        "To the informed attacker, who sees a score for each class and spends 64 queries per class, the exposure is "
        "1.00 (0.50 to 1.50) bits for patterns trained on once and 5.00 (4.50 to 5.50) bits for patterns trained on 16 "
        "times (at most 6.00; guessing 1.38)."
    )
    assert secret_sentences(results)[3].endswith("the reader reads 96% from the patterns themselves.")
    assert "Canaries are unlike all other training samples" in one_page(results)
    table = one_page(results).partition("## Canaries by repetition")[2]
    assert "| attack | network | queries per class | once | 4 times | 16 times |" in table
    assert "| v2, scores | loihi | 64 | 1.50 (1.00 to 2.00), 50% | – | – |" in table
    page = audit_pages(results, make_audit_pictures())[REPORT]
    assert '<th scope="col" class="num">16 times</th>' in page
    assert '<td class="num">5.00<span class="sub">4.50 to 5.50</span><span class="sub">50%</span></td>' in page


@pytest.mark.parametrize(("ceiling", "warned"), [(0.28, True), (0.5, False), (None, False)])
def test_a_reader_that_reads_nothing_is_a_limit(make_audit: Make, ceiling: float | None, warned: bool) -> None:
    assert ("The reader hardly reads these secrets" in one_page(make_audit(secrets=planted(ceiling=ceiling)))) == warned


def test_one_target_has_no_interval(make_audit: Make) -> None:
    single = row("label", 32, 0.8)
    single["over_guessing"]["seeds"] = 1
    assert (
        "55.0 points more (one target, so no interval) than"
        in secret_sentences(make_audit(secrets=planted(rows=[single])))[0]
    )


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
