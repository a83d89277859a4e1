"""The files of an audit beside its cells: results, a page and a summary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.errors import ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.curves import course_curves
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.measures import Course, JudgementMeasures
from bl_neuro.experiment.session import Audit


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


def judgement(seed: int, restart: int, queries: list[int], hits: list[float]) -> tuple[Cell, JudgementMeasures]:
    facts = {"target": "trained", "substrate": "loihi", "attack": "v2", "reveals": "counts", "evaluator": "conv",
             "seed": seed, "restart": restart}  # fmt: skip
    measured = JudgementMeasures(
        classes=[0, 1],
        hits=[1, 0],
        top3=[1, 1],
        confidence=[0.5, 0.5],
        daa=None,
        course=Course(queries=queries, hits=hits, confidence=hits),
    )
    return Cell("judgement", {"seed": seed, "restart": restart}, (), facts), measured


def test_curves_hold_courses_of_unequal_length_and_weigh_seeds_alike() -> None:
    made = [
        judgement(0, 0, [20, 40, 60], [0.0, 0.5, 1.0]),
        judgement(0, 1, [20, 40], [0.0, 0.5]),  # ended early: holds what it had
        judgement(1, 0, [24, 60], [0.0, 0.0]),
    ]
    curves = course_curves([cell for cell, _ in made], {cell.address: measures for cell, measures in made})
    assert [curve.measure for curve in curves] == ["hit", "confidence"]
    curve = curves[0]
    assert curve.queries == [12.0, 20.0, 30.0]  # a class, from when every course had begun
    assert curve.value == [0.0, 0.25, 0.375]
    assert curve.seeds == 2
    assert all(low <= value <= high for low, value, high in zip(curve.low, curve.value, curve.high))
