"""Attackers who ask nothing, in an audit: their cells, their figures, and what reports say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.api.audit import run_audit
from bl_neuro.api.result import AuditResult
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.baseline_cells import PRIORS, chosen_baselines
from bl_neuro.experiment.baseline_work import shuffled_network, stored_baseline
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.findings.baselines import with_advantages
from bl_neuro.experiment.findings.margins import unfinished_under
from bl_neuro.experiment.measures import BASELINE_JUDGEMENT
from bl_neuro.experiment.session import Audit
from bl_neuro.layers import SPIKING
from bl_neuro.network import Network
from bl_neuro.training import load_evaluator

MORE = """
[auxiliary]
name = "public.npz"

[[evaluators]]
kind = "neighbours"
"""


def planned(small: Path, folder: Path, text: str = "", *, first: str = "") -> Audit:
    (folder / "changed.toml").write_text(first + small.read_text().replace("baselines = []\n", "") + text)
    return Audit.of(str(folder / "changed.toml"), folder / "out")


def written_public(folder: Path) -> None:
    """Sixty images of 16 x 16 pixels of the classes 0, 1 and 7: a square in another corner for each class."""
    images = np.zeros((60, 16, 16), np.float32)
    for place, image in enumerate(images):
        row, column = divmod(place % 3, 2)
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 0.5 + 0.5 * place / 60
    np.savez(folder / "public.npz", images=images[:, None], labels=np.arange(60) % 3, class_names=np.array(list("017")))


@pytest.fixture(scope="module")
def audit(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("baselines")
    written_public(folder)
    return planned(small, folder, MORE)


@pytest.fixture(scope="module")
def result(audit: Audit) -> AuditResult:
    done = run_audit(audit)
    assert (done.failures, done.complete) == ((), True)
    return done


def kinds(cells: list[Cell], **facts: object) -> list[str]:
    return [cell.kind for cell in cells if facts.items() <= cell.facts.items()]


def pictures(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind in ("baseline", "baseline_judgement")]


def test_baselines_are_on_unless_they_are_turned_off(small: Path, tmp_path: Path) -> None:
    usual, off = planned(small, tmp_path).cells, planned(small, tmp_path, first="baselines = []\n").cells
    new = [cell for cell in usual if cell.address not in {cell.address for cell in off}]
    assert [cell.address for cell in usual if cell not in new] == [cell.address for cell in off]
    assert {cell.facts["layout"] for cell in new if cell.kind == "baseline"} == {"filled", "centred"}
    assert [cell.facts["attack"] for cell in new if cell.kind == "attack"] == ["v2", "v1"] * 2
    fonts = planned(small, tmp_path, first='baselines = ["fonts"]\n').cells
    assert kinds(fonts, target="untrained") == []
    assert len(fonts) == len(off) + 4
    assert "attack" not in [cell.kind for cell in usual[: 1 + max(map(usual.index, pictures(usual)))]]


def test_the_prior_is_measured_only_where_no_untrained_control_does(small: Path, tmp_path: Path) -> None:
    control = '\n[[controls]]\nkind = "untrained"\nattacks = ["v2"]\nseeds = 1\n'
    cells = planned(small, tmp_path, control).cells
    attacks = [cell for cell in cells if cell.kind == "attack" and cell.facts["target"] == "untrained"]
    assert sorted((cell.facts["attack"], cell.facts["seed"]) for cell in attacks) == [("v1", 0), ("v1", 1), ("v2", 0)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ('["font"]', r"baselines\.0: expected one of fonts, auxiliary_mean, auxiliary_sample, prior, found 'font'"),
        ('["prior", "prior"]', r"baselines\.1: 'prior' occurs twice"),
        ("3", r"baselines: expected a list"),
    ],
)
def test_wrong_names_are_reported(names: str, message: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=message):
        _ = planned(small, tmp_path, first=f"baselines = {names}\n").cells


def test_what_does_not_apply_is_left_out_with_the_reason(small: Path, tmp_path: Path) -> None:
    chosen = chosen_baselines(planned(small, tmp_path).experiment, planned(small, tmp_path).material)
    assert chosen.apply == ("fonts", "prior")
    assert set(chosen.left_out) == {"auxiliary_mean", "auxiliary_sample"}
    endpoint = {"name": "there", "url": "http://127.0.0.1:9/v2/models/m", "reveals": "counts", "classes": 10}
    document: dict[str, Any] = {
        "name": "there",
        "substrates": ["there"],
        "steps": 4,
        "dataset": {"name": "digits"},
        "evaluators": [{"kind": "conv"}],
        "attacks": [{"attack": "v2", "reveals": ["counts"]}],
        "endpoints": [endpoint],
    }
    asked = Audit.of(experiment_from(document), tmp_path / "out")
    assert "endpoint" in chosen_baselines(asked.experiment, asked.material).left_out["prior"]
    assert kinds(asked.cells, target="untrained") == []


@pytest.mark.slow
def test_judgements_are_those_of_the_stored_pictures(audit: Audit, result: AuditResult) -> None:
    cells = [cell for cell in audit.cells if cell.kind == "baseline_judgement"]
    assert len(cells) == (2 + 3 + 3) * 2
    for cell in cells:
        baseline, judge = (audit.store.read(need.address) for need in cell.needs)
        judged = audit.store.read(cell.address)
        assert baseline is not None
        assert judge is not None
        assert judged is not None
        assert baseline.tensors is not None
        assert judge.tensors is not None
        measured = BASELINE_JUDGEMENT.typed(judged.measures)
        pictures = stored_baseline(baseline.tensors)
        assert measured.classes == [0, 1, 7] * len(pictures)
        table = load_evaluator(judge.tensors).probabilities(pictures.reshape(-1, 1, 8, 8))
        sure = table[np.arange(len(table)), measured.classes]
        np.testing.assert_allclose(measured.confidence, sure)
        assert (table.argmax(1) == measured.classes)[np.array(measured.hits) == 1].all()
        assert measured.rejected is not None


@pytest.mark.slow
def test_each_own_row_has_the_best_baseline_and_the_advantage_over_it(result: AuditResult) -> None:
    findings = result.findings
    assert {finding.baseline for finding in findings.baselines} == {
        "fonts",
        "auxiliary_mean",
        "auxiliary_sample",
        "prior",
    }
    for row in findings.own_rows:
        assert set(row.evaluators) == {"conv", "neighbours"}
        for evaluator, judged in row.evaluators.items():
            usable = [
                finding.attack_accuracy.value
                for finding in findings.baselines
                if finding.evaluator == evaluator and finding.attack in (None, row.attack)
            ]
            assert judged.baseline_accuracy is not None
            assert judged.advantage is not None
            assert judged.baseline_accuracy.value == max(usable)
            assert judged.advantage.value == judged.attack_accuracy.value - max(usable)
            assert judged.advantage.low is not None
            assert judged.advantage.low < judged.advantage.value
            assert judged.rejected is not None
    assert all(judged.advantage is None for row in findings.rows if not row.own for judged in row.evaluators.values())
    assert findings.auxiliary is not None
    assert "60 images of public, resized from 16×16 to 8×8 pixels; 3 of their classes" in findings.auxiliary
    assert type(findings).from_json(findings.to_json()) == findings


@pytest.mark.slow
def test_there_is_no_advantage_before_all_pictures_are_judged(audit: Audit, result: AuditResult) -> None:
    measures = {cell.address: done.measures for cell in audit.cells if (done := audit.store.read(cell.address))}
    assert unfinished_under(audit.cells, measures) == set()
    (late, *_) = [
        cell for cell in audit.cells if cell.kind == "baseline_judgement" and cell.facts["evaluator"] == "conv"
    ]
    del measures[late.address]
    assert unfinished_under(audit.cells, measures) == {"conv"}
    bare = [
        row.model_copy(
            update={
                "evaluators": {
                    name: judged.model_copy(update={"advantage": None}) for name, judged in row.evaluators.items()
                }
            }
        )
        for row in result.findings.own_rows
    ]
    for row in with_advantages(bare, result.findings.baselines, {"conv"}):
        assert row.evaluators["conv"].advantage is None
        assert row.evaluators["neighbours"].advantage is not None


@pytest.mark.slow
def test_the_prior_of_another_attack_is_no_baseline(result: AuditResult) -> None:
    findings = result.findings
    (row,) = [row for row in findings.own_rows if row.attack == "v1"]
    others = [finding for finding in findings.baselines if finding.attack == "v2"]
    assert others
    (bare,) = with_advantages([row.model_copy(update={"evaluators": {
        name: judged.model_copy(update={"advantage": None}) for name, judged in row.evaluators.items()
    }})], others)  # fmt: skip
    assert all(judged.advantage is None for judged in bare.evaluators.values())


@pytest.mark.slow
def test_the_report_leads_with_the_advantage(result: AuditResult) -> None:
    assert "An attacker who can only query the network " in result.answer
    assert "the best attacker who asks nothing" in result.answer
    assert "under the evaluator conv (95% interval" in result.answer
    page = result.report.read_text(encoding="utf-8")
    for words in ("Before any query", "Best without a query", "Advantage, points", "printed fonts, filled"):
        assert words in page
    summary = (result.folder / "summary.md").read_text(encoding="utf-8")
    assert "## Advantage over an attacker who asks nothing" in summary
    assert "neighbours would answer “none of these” to" in summary
    assert {"baseline", "baseline_accuracy", "advantage", "advantage_low", "advantage_high"} <= set(result.rows.columns)


def test_a_shuffled_network_has_the_same_weights_in_another_order(small_network: Network) -> None:
    changed = shuffled_network(small_network, 1)
    assert changed != small_network
    assert changed == shuffled_network(small_network, 1) != shuffled_network(small_network, 2)
    for old, new in zip(small_network.layers, changed.layers):
        if isinstance(old, SPIKING) and isinstance(new, SPIKING):
            assert np.array_equal(np.sort(old.weight, axis=None), np.sort(new.weight, axis=None))
            assert old.neuron == new.neuron
    assert PRIORS > 1
