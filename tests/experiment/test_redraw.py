"""Splits and evaluators that each target seed draws anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.attacks import load_inversions
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.measures import JUDGEMENT
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.work import Work
from bl_neuro.training import load_evaluator

DOCUMENT: dict[str, Any] = {
    "name": "redrawn",
    "seeds": 2,
    "steps": 4,
    "classes": [0, 1],
    "substrates": ["loihi"],
    "dataset": {"name": "digits", "redraw": True},
    "target": {"hidden": [8], "proxy_epochs": 1, "spiking_epochs": 1},
    "evaluators": [{"kind": "conv", "epochs": 1}],
    "attacks": [{"attack": "v1", "settings": {"iterations": 2}}],
    "controls": [{"kind": "untrained", "seeds": [1]}],
    "baselines": ["fonts"],
}


def planned(document: dict[str, Any]) -> tuple[Material, list[Cell]]:
    experiment = experiment_from(document)
    material = Material(experiment, Place(Path.cwd()))
    return material, plan_cells(experiment, material)


def of_kind(cells: Sequence[Cell], kind: str) -> list[Cell]:
    return [cell for cell in cells if cell.kind == kind]


def test_each_target_seed_has_its_own_split_and_evaluators() -> None:
    material, cells = planned(DOCUMENT)
    targets = {(cell.facts["target"], cell.facts["seed"]): cell for cell in of_kind(cells, "target")}
    evaluators = {cell.facts["seed"]: cell for cell in of_kind(cells, "evaluator")}
    assert set(evaluators) == {0, 1}
    assert set(targets) == {("trained", 0), ("trained", 1), ("untrained", 1)}
    assert evaluators[0].definition["seed"] != evaluators[1].definition["seed"]
    for (_, seed), target in targets.items():
        assert target.definition["data"] == evaluators[seed].definition["data"] == material.definition_of(seed)
    splits = [material.split_at(cell.definition["data"]["split_seed"]) for cell in evaluators.values()]
    assert splits[0].sizes() == splits[1].sizes() == material.split.sizes()
    assert not np.array_equal(splits[0].target.pixels, splits[1].target.pixels)


def test_every_cell_uses_the_split_of_its_target_and_every_judge_is_that_of_the_target() -> None:
    _, cells = planned(DOCUMENT)
    for cell in cells:
        if cell.kind == "baseline_judgement":
            assert cell.definition["data"] == cell.needs[1].definition["data"]
        else:
            assert all(need.definition["data"] == cell.definition["data"] for need in cell.needs), cell.label
    for cell in of_kind(cells, "judgement"):
        attack, judge = cell.needs
        assert attack.facts["seed"] == judge.facts["seed"] == cell.facts["seed"]
    judged = [cell.needs[1].address for cell in of_kind(cells, "baseline_judgement")]
    assert set(judged) == {cell.address for cell in of_kind(cells, "evaluator")}


def test_without_redraw_all_targets_share_one_split_and_one_judge() -> None:
    material, cells = planned({**DOCUMENT, "dataset": {"name": "digits"}})
    (evaluator,) = of_kind(cells, "evaluator")
    assert evaluator.definition["seed"] == 0
    assert all(cell.definition["data"] == material.definition for cell in cells)
    assert "redraw" not in material.definition


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dataset": {"name": "digits", "redraw": True, "split": "whole"}}, "a whole split draws no samples"),
        ({"model": {"file": "model.safetensors"}}, "has one training"),
        ({"attacks": []}, "is about targets of"),
    ],
)
def test_where_nothing_can_be_redrawn_the_setting_is_an_error(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ExperimentError, match=problem):
        experiment_from({**DOCUMENT, **changes})


@pytest.mark.slow
def test_an_audit_judges_each_target_by_its_own_evaluator(tmp_path: Path) -> None:
    audit = Audit.of(experiment_from({**DOCUMENT, "controls": []}), tmp_path / "run")
    with Work(audit.material, audit.store) as work:
        for cell in audit.cells:
            work.do(cell)
    judgements = of_kind(audit.cells, "judgement")
    trained = [load_evaluator(_tensors(audit, cell.needs[1])) for cell in judgements]
    for cell, judge in zip(judgements, trained):
        attack = cell.needs[0]
        images = attack.what.images(load_inversions(_tensors(audit, attack))).reshape(-1, *audit.material.shape)
        table = judge.probabilities(images.double().numpy())
        result = audit.store.read(cell.address)
        assert result is not None
        assert JUDGEMENT.typed(result.measures).confidence == [table[row, label] for row, label in enumerate([0, 1])]
    findings = audit.findings()
    assert [(judge.name, judge.trained) for judge in findings.evaluators] == [("conv", 2)]
    assert findings.overlap is not None
    assert findings.overlap.shared == 0
    assert "intervals cover the target's training, the samples and the judge" in findings.overlap.sentence
    assert {baseline.attack_accuracy.n for baseline in findings.baselines if baseline.attack is None} == {2 * 2 * 10}
    assert len(findings.nearest_members) == 1
    assert findings.nearest_members[0].redrawn
    assert list(findings.nearest_members[0].aucs) == [0, 1]


def _tensors(audit: Audit, cell: Cell) -> Path:
    result = audit.store.read(cell.address)
    assert result is not None
    assert result.tensors is not None
    return result.tensors
