"""Comparison of audits: paired results have a verdict, unpaired ones state the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.comparison import compare_runs, read_results
from bl_neuro.experiment.findings.models import Findings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(undisturbed: Path) -> Findings:
    return read_results(undisturbed)


def changed(run: Findings, **changes: Any) -> Findings:
    return Findings.model_validate({**run.model_dump(by_alias=True), **changes})


def cells(run: Findings, **changes: Any) -> list[dict[str, Any]]:
    return [{**cell.model_dump(), **changes} for cell in run.inversions]


def misses(run: Findings) -> list[dict[str, Any]]:
    """Its inversions, none of which any evaluator recognises."""
    judged = {"conv": {"hits": [0, 0, 0], "confidence": [0.0, 0.0, 0.0]}}
    return cells(run, evaluators=judged)


def rows(run: Findings, **changes: Any) -> list[dict[str, Any]]:
    return [{**row.model_dump(), **changes} for row in run.rows]


@pytest.mark.slow
def test_a_run_and_itself_are_identical(plain: Findings) -> None:
    result = compare_runs({"one": plain, "other": plain})
    assert [(comparison.attack, comparison.reveals) for comparison in result.main] == [
        ("v2", "counts"),
        ("v1", "gradient"),
    ]
    assert all(comparison.verdict is not None and comparison.verdict.identical for comparison in result.comparisons)
    assert all(
        comparison.verdict is not None and comparison.verdict.difference.high == 0.0 for comparison in result.main
    )
    assert all(comparison.inversions == 6 for comparison in result.comparisons)
    assert result.settings == []
    assert [row.target for row in result.rows] == ["trained", "trained", "shuffled_labels"]
    assert result.rows[0].estimates[0] == result.rows[0].estimates[1]


def test_differences_are_first_less_second_on_what_both_have(plain: Findings) -> None:
    fewer = [row for row in misses(plain) if row["seed"] == 1]
    other = changed(plain, inversions=fewer)
    result = compare_runs({"one": plain, "other": other}, margin=0.2)
    own = [cell for cell in plain.inversions if (cell.attack, cell.target, cell.seed) == ("v2", "trained", 1)]
    [cell] = own
    verdict = result.main[0].verdict
    assert verdict is not None
    assert verdict.difference.value == pytest.approx(sum(cell.evaluators["conv"].hits) / 3)
    assert (verdict.difference.seeds, result.main[0].inversions, verdict.margin) == (1, 3, 0.2)


def test_substrates_are_crossed_where_runs_share_none(plain: Findings) -> None:
    other = changed(plain, rows=rows(plain, substrate="norse"), inversions=cells(plain, substrate="norse"))
    result = compare_runs({"one": plain, "other": other})
    assert [(comparison.first.substrate, comparison.second.substrate) for comparison in result.main] == [
        ("loihi", "norse")
    ] * 2
    assert all(comparison.verdict is not None for comparison in result.main)
    kinds = {"loihi": "loihi", "norse": "real"}
    apart = compare_runs({"one": changed(plain, arithmetic=kinds), "other": changed(other, arithmetic=kinds)})
    verdicts = [comparison.verdict for comparison in apart.main if comparison.verdict is not None]
    assert [(verdict.identical, verdict.verdict) for verdict in verdicts] == [(True, "inconclusive")] * 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("evaluator", "another evaluator: trained in another way, or on other data"),
        ("dataset", "another dataset"),
        ("seeds", "no target seed, class and restart in common"),
    ],
)
def test_unpaired_results_state_the_reason(plain: Findings, change: str, why: str) -> None:
    judges = [{**evaluator.model_dump(), "address": "another", "weights": "others"} for evaluator in plain.evaluators]
    other = {
        "evaluator": changed(plain, evaluators=judges),
        "dataset": changed(plain, dataset={**plain.dataset.model_dump(), "name": "mnist"}),
        "seeds": changed(plain, inversions=[{**cell, "seed": 7 + cell["seed"]} for cell in cells(plain)]),
    }[change]
    result = compare_runs({"one": plain, "other": other})
    assert {(comparison.why, comparison.verdict, comparison.inversions) for comparison in result.comparisons} == {
        (why, None, 0)
    }


def test_evaluators_of_equal_weights_are_one_whatever_defined_them(plain: Findings) -> None:
    judges = [{**evaluator.model_dump(), "address": "of another format"} for evaluator in plain.evaluators]
    result = compare_runs({"one": plain, "other": changed(plain, evaluators=judges)})
    assert all(comparison.verdict is not None for comparison in result.main)


def test_different_settings_and_versions_are_listed(plain: Findings) -> None:
    experiment = {**plain.experiment, "steps": 9, "novel": [1]}
    made = {**plain.made.model_dump(), "versions": {**plain.made.versions, "torch": ["9.9"]}}
    margins = [{**one.model_dump(), "margin": 0.01} for one in plain.margins]
    other = changed(plain, experiment=experiment, made=made, margin=0.01, margins=margins)
    result = compare_runs({"one": plain, "other": other})
    values = {setting.name: setting.values for setting in result.settings}
    assert values["steps"] == ["4", "9"]
    assert values["novel"] == [None, "[1]"]
    assert values["version of torch"][1] == '["9.9"]'
    assert result.margin == 0.01  # the least


def test_three_runs_are_compared_two_by_two(plain: Findings) -> None:
    result = compare_runs({"a": plain, "b": plain, "c": plain})
    assert [(comparison.first.run, comparison.second.run) for comparison in result.main[::2]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_incomparable_runs_are_an_error(plain: Findings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected two or more, found 1"):
        compare_runs({"one": plain})
    with pytest.raises(InputError, match="margin: expected between 0 and 1, found 2"):
        compare_runs({"one": plain, "other": plain}, margin=2)
    with pytest.raises(ReportError, match=r"results\.json: No such file .*; expected the folder of a finished audit"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ReportError, match=r"results\.json: expected results in the format"):
        read_results(tmp_path)
