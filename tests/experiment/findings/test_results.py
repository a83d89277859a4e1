"""The files of an audit beside its cells: results, a page and a summary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.errors import ModelFileError
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.curves import course_curves
from bl_neuro.experiment.findings.models import AuditCurve, Findings
from bl_neuro.experiment.measures import AttackMeasures, Course, JudgementMeasures
from bl_neuro.experiment.session import Audit
from bl_neuro.leakage import hit_bootstrap, proportion_interval


@pytest.fixture(scope="module")
def results(undisturbed: Path) -> Findings:
    return Findings.from_json((undisturbed / "results.json").read_bytes())


def test_results_hold_a_row_for_every_attack(results: Findings) -> None:
    assert (results.cells.planned, results.cells.done) == (17, 17)
    assert [row.name for row in results.rows] == [
        ("trained", "loihi", "v2", "counts"),
        ("trained", "loihi", "v1", "gradient"),
        ("shuffled_labels", "loihi", "v2", "counts"),
    ]
    assert [row.access for row in results.own_rows] == ["black_box", "white_box"]
    assert "sees how often each output neuron spiked" in str(results.rows[0].threat_model)
    assert results.rows[0].evaluators["conv"].attack_accuracy.n == 6
    assert results.evaluators[0].weights is not None


def test_the_network_and_the_data_are_described(results: Findings) -> None:
    network = results.network
    assert network is not None
    assert network.layers == ["Flatten -> (64,)", "Dense 64 -> 16 -> (16,)", "Dense 16 -> 10 -> (10,)"]
    assert (network.parameters, network.input_shape, network.encoder) == (64 * 16 + 16 * 10, [1, 8, 8], "rate")
    assert network.training == (
        "Each target was trained on 898 images, with up to 50% of background noise: 2 epochs as an ANN of its firing "
        "rates, then 1 epoch through time."
    )
    assert len(network.fingerprints) == 2
    assert "scikit-learn" in str(results.dataset.source)
    assert (results.unit, results.not_run) == ("target seed", {})


def test_every_inversion_is_listed_with_its_judgements(undisturbed: Path, results: Findings) -> None:
    assert len(results.inversions) == 5  # two attacks on two targets, and one on a control
    for cell in results.inversions:
        kept = json.loads((undisturbed / "cells" / f"{cell.address}.json").read_text())
        assert cell.target_answers == kept["measures"]["target_answers"]
        assert cell.classes == [0, 1, 7]
        assert len(cell.evaluators["conv"].hits) == len(cell.evaluators["conv"].confidence) == 3
    hits = [hit for cell in results.inversions[:1] for hit in cell.evaluators["conv"].hits]
    assert set(hits) <= {0, 1}


def test_results_contain_no_times(undisturbed: Path) -> None:
    times = [json.loads(path.read_text()) for path in (undisturbed / "times").iterdir()]
    for name in ("results.json", "report.html", "summary.md"):
        text = (undisturbed / name).read_text()
        assert not any(record["finished"] in text for record in times)


def test_the_page_and_the_summary_say_the_same_verdict(undisturbed: Path) -> None:
    page, summary = ((undisturbed / name).read_text() for name in ("report.html", "summary.md"))
    assert "This audit has one substrate, loihi: there is nothing to compare." in page
    assert "**Not compared.** This audit has one substrate, loihi: there is nothing to compare." in summary


def test_the_report_states_how_the_audit_was_started(undisturbed: Path, results: Findings) -> None:
    assert results.made.command == "bl-neuro audit small.toml"
    assert "Made by `bl-neuro audit small.toml`" in (undisturbed / "summary.md").read_text()
    assert "bl-neuro audit small.toml" in (undisturbed / "report.html").read_text()


def test_pictures_are_those_of_the_cells(small: Path, undisturbed: Path, results: Findings) -> None:
    audit = Audit.of(str(small), undisturbed)
    pictures = audit.pictures()
    assert pictures.class_means.shape == (10, 1, 8, 8)
    cell = results.inversions[0]
    images = pictures.images(cell.address)
    assert images.shape == (3, 1, 8, 8)
    assert set(np.unique(images)) <= {0.0, 0.25, 0.5, 0.75, 1.0}  # spikes in four steps
    course = pictures.course(cell.address, "conv")
    assert course is not None
    assert (np.diff(course.queries) > 0).all()
    assert course.queries[-1] * 3 == cell.queries
    assert pictures.course(cell.address, "spiking") is None
    with pytest.raises(ModelFileError, match="run the audit again"):
        pictures.images("0" * 64)


def test_an_audit_that_did_not_run_has_results_too(small: Path, tmp_path: Path) -> None:
    audit = Audit.of(str(small), tmp_path)
    findings = audit.findings()
    assert findings.cells.done == 0
    assert findings.inversions == []
    assert findings.curves == []
    assert findings.made.command is None
    assert findings.evaluators[0].accuracy is None


def judgement(
    seed: int, restart: int, queries: list[int], hits: list[float], final: list[int]
) -> list[tuple[Cell, CellMeasures]]:
    """An attack on two classes and its judgement: hits along its trace, and those of its final inversions."""
    facts = {"target": "trained", "substrate": "loihi", "attack": "v2", "reveals": "counts", "evaluator": "conv",
             "seed": seed, "restart": restart}  # fmt: skip
    attack = Cell("attack", {"seed": seed, "restart": restart, "of": "attack"}, (), facts)
    judged = Cell("judgement", {"seed": seed, "restart": restart}, (attack,), facts)
    attacked = AttackMeasures.model_construct(queries=queries[-1])
    measured = JudgementMeasures(
        classes=[0, 1],
        hits=final,
        top3=[1, 1],
        confidence=[0.5 * hit for hit in final],
        daa=None,
        course=Course(queries=queries, hits=hits, confidence=hits),
        rejected=None,
    )
    return [(attack, attacked), (judged, measured)]


def curves_of(*made: list[tuple[Cell, CellMeasures]]) -> list[AuditCurve]:
    cells = [pair for part in made for pair in part]
    return course_curves([cell for cell, _ in cells], {cell.address: measures for cell, measures in cells})


def test_curves_hold_courses_of_unequal_length_and_weigh_seeds_alike() -> None:
    curves = curves_of(
        judgement(0, 0, [20, 40, 60], [0.0, 0.5, 1.0], [1, 1]),
        judgement(0, 1, [20, 40], [0.0, 0.5], [1, 0]),  # ended early: holds what it had
        judgement(1, 0, [24, 60], [0.0, 0.0], [0, 0]),
    )
    assert [curve.measure for curve in curves] == ["hit", "confidence"]
    curve = curves[0]
    assert curve.queries == [12.0, 20.0, 30.0]  # a class, from when every course had begun
    assert curve.value == [0.0, 0.25, 0.375]
    assert curve.seeds == 2
    ends = [(low, high) for low, high in zip(curve.low, curve.high) if low is not None and high is not None]
    assert all(low <= value <= high for (low, high), value in zip(ends, curve.value))
    assert len(ends) == 3


def test_a_curve_ends_with_the_row_and_not_with_the_rates() -> None:
    """The rates score 100%, the spikes of the final inversions 50%."""
    hit, confidence = curves_of(*(judgement(seed, 0, [20, 60], [0.5, 1.0], [1, 0]) for seed in range(4)))
    row = hit_bootstrap([[1, 0]] * 4)
    assert hit.value == [0.5, 0.5]
    assert [hit.low[-1], hit.high[-1]] == pytest.approx([row.low, row.high], abs=1e-5)
    assert confidence.value == [0.5, 0.25]


def test_no_band_has_a_zero_width() -> None:
    """One and two seeds at a ceiling: hits have Wilson's interval; confidences, whose means alone are stored, none."""
    for seeds in (1, 2):
        made = [judgement(seed, 0, [20, 40, 60], [1.0, 1.0, 1.0], [1, 1]) for seed in range(seeds)]
        hit, confidence = curves_of(*made)
        low, high = proportion_interval(1.0, 2 * seeds)
        assert hit.low == [pytest.approx(low, abs=1e-5)] * 3
        assert hit.high == [pytest.approx(high, abs=1e-5)] * 3
        assert confidence.low == confidence.high == [None] * 3


def test_curves_of_an_audit_end_at_its_rows(results: Findings) -> None:
    rows = {row.name: row for row in results.rows}
    assert results.curves
    for curve in results.curves:
        row = rows[curve.target, curve.substrate, curve.attack, curve.reveals]
        measures = row.evaluators[curve.evaluator]
        mean = measures.attack_accuracy if curve.measure == "hit" else measures.confidence
        assert curve.value[-1] == pytest.approx(mean.value, abs=1e-5)
        assert curve.queries[-1] == row.queries_per_class
        if curve.measure == "hit":
            assert [curve.low[-1], curve.high[-1]] == pytest.approx([mean.low, mean.high], abs=1e-5)
