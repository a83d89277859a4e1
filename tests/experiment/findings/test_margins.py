"""Margins are a share of the range from the best attacker who asks nothing to the evaluator's accuracy."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.findings.margins import EvaluatorMargin, evaluator_margins
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.measures import BaselineJudgementMeasures, TrainedEvaluatorMeasures


def margin(
    fonts: list[int], accuracy: float | None = 0.98, priors: list[Record] | None = None, **changes: Any
) -> EvaluatorMargin:
    """The margin under one evaluator. fonts: hits of printed fonts; none are judged if empty."""
    experiment = experiment_from(
        {
            "name": "made-up", "seeds": 2, "substrates": ["snntorch"], "dataset": {"name": "digits"},
            "evaluators": [{"kind": "conv"}], "attacks": [{"attack": "v1"}], **changes,
        }
    )  # fmt: skip
    judge, font = (
        Cell(kind, {"kind": kind}, facts={"evaluator": "conv", "baseline": "fonts", "layout": "centred"})
        for kind in ("evaluator", "baseline_judgement")
    )
    measures: dict[str, CellMeasures] = {}
    if fonts:
        measures[font.address] = BaselineJudgementMeasures(
            renderings=1, classes=[0] * len(fonts), hits=fonts, confidence=[0.5] * len(fonts), rejected=None
        )
    if accuracy is not None:
        measures[judge.address] = TrainedEvaluatorMeasures(
            architecture="conv", classes=10, spiking=False, accuracy=accuracy, samples=100, rejects_below=None
        )
    return evaluator_margins(experiment, 10, [judge, font], measures, priors or [])["conv"]


def prior(seed: int, substrate: str, hit: int, target: str = "untrained") -> Record:
    return Record(target, seed, substrate, "v2", "counts", 0, "conv", 0, hit, 0.5)


def test_it_is_a_fifth_of_the_range_from_the_best_baseline_to_the_accuracy_on_real_samples() -> None:
    stated = margin([1, 1, 1, 0])
    assert stated.margin == pytest.approx(0.2 * (0.98 - 0.75))
    assert (stated.null_is, stated.share) == ("printed fonts, centred", 0.2)
    assert stated.reason == "20% of the range from 75% (printed fonts, centred, without a query) to 98% (real samples)"
    assert margin([1, 1, 1, 0], margin_share=0.1).margin == pytest.approx(0.1 * (0.98 - 0.75))


def test_without_a_better_baseline_the_null_is_chance() -> None:
    for fonts in ([], [0, 0, 0, 0]):
        stated = margin(fonts)
        assert (stated.null, stated.null_is) == (0.1, "guessing")
        assert stated.margin == pytest.approx(0.2 * 0.88)


def test_the_prior_of_an_attack_is_pooled_over_substrates() -> None:
    records = [prior(seed, substrate, int(substrate == "loihi")) for seed in (0, 1) for substrate in ("loihi", "norse")]
    stated = margin([1, 0, 0, 0], priors=records)
    assert stated.null == 0.5
    assert stated.null_is.endswith(": v2, counts")


def test_it_does_not_depend_on_attacks_on_trained_targets() -> None:
    trained = [prior(0, "loihi", 1, "trained"), prior(0, "loihi", 1, "shuffled_labels")]
    assert margin([1, 0, 0, 0], priors=trained) == margin([1, 0, 0, 0])


@pytest.mark.parametrize("accuracy", [0.9, 0.99, 1.0])
def test_where_queries_have_nothing_to_gain_equivalence_is_not_asked(accuracy: float) -> None:
    stated = margin([1, 1, 1, 1], accuracy)
    assert stated.margin is None
    assert stated.reason.startswith("no range: 100% (printed fonts, centred, without a query) leaves queries")


def test_a_margin_in_points_is_taken_as_it_is() -> None:
    stated = margin([1, 1, 1, 1], margin=0.05)
    assert (stated.margin, stated.share, stated.reason) == (0.05, None, "stated in the experiment")


def test_before_the_evaluator_is_trained_the_ceiling_is_1() -> None:
    stated = margin([], None)
    assert stated.margin == pytest.approx(0.2 * 0.9)
    assert "no accuracy on real samples is known yet" in stated.reason
    assert stated.reason.endswith(
        "not every attacker who asks nothing is measured yet, and the margin may become smaller"
    )
