"""The measures of cells: each kind has a model, and their types are checked."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from pydantic import ValidationError

from bl_neuro.attacks import Status
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.measures import (
    ACCURACY,
    KINDS,
    MODELS,
    REPLAY,
    AccuracyMeasures,
    AttackMeasures,
    JudgementMeasures,
    ReplayMeasures,
)
from bl_neuro.experiment.session import Audit

ATTACKED = {
    "access": "black_box",
    "status": "budget_spent",
    "queries": 12,
    "answers": None,
    "assumptions": [],
    "target_answers": [3, None],
    "pearson_selectivity": [0.25, -0.0],
    "ssim": None,
    "spike_density": 0.5,
}


@pytest.mark.slow
def test_every_planned_kind_of_cell_has_a_model() -> None:
    assert {cell.kind for cell in Audit.of("digits").cells} <= set(MODELS)
    assert len(MODELS) == len(KINDS) == 26


def test_measures_become_the_values_they_were_read_from() -> None:
    measured = AttackMeasures.model_validate(ATTACKED)
    assert measured.status is Status.BUDGET_SPENT
    assert repr(measured.to_json()) == repr(ATTACKED)


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "grey_box"},
        {"status": "lost"},
        {"queries": 12.0},
        {"queries": True},
        {"ssim": [nan]},
        {"pearson_selectivity": [inf]},
        {"spike_density": 1.5},
        {"target_answers": [-1]},
    ],
)
def test_values_of_another_type_or_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        AttackMeasures.model_validate({**ATTACKED, **changes})


JUDGED = {
    "classes": [0, 1],
    "hits": [1, 0],
    "top3": [1, 1],
    "confidence": [0.5, 0.25],
    "daa": None,
    "course": {"queries": [4, 8], "hits": [0.0, 0.5], "confidence": [0.25, 0.375]},
}


@pytest.mark.parametrize("name", ["classes", "hits", "top3", "confidence"])
def test_judgements_with_lists_of_unequal_length_are_refused(name: str) -> None:
    JudgementMeasures.model_validate(JUDGED)
    with pytest.raises(ValidationError, match=r"expected lists of one length, found \{'classes': "):
        JudgementMeasures.model_validate({**JUDGED, name: JUDGED[name][:1]})  # type: ignore[index]


@pytest.mark.parametrize("name", ["queries", "hits", "confidence"])
def test_courses_with_lists_of_unequal_length_are_refused(name: str) -> None:
    course: Any = JUDGED["course"]
    with pytest.raises(ValidationError, match=r"expected lists of one length, found \{'queries': "):
        JudgementMeasures.model_validate({**JUDGED, "course": {**course, name: []}})


@pytest.mark.parametrize("changes", [{"target_answers": [3]}, {"pearson_selectivity": []}, {"ssim": [0.5]}])
def test_attacks_with_lists_of_unequal_length_are_refused(changes: dict[str, object]) -> None:
    AttackMeasures.model_validate({**ATTACKED, "target_answers": None})
    with pytest.raises(ValidationError, match="expected lists of one length"):
        AttackMeasures.model_validate({**ATTACKED, **changes})


def test_a_kind_lists_its_finished_cells_in_order() -> None:
    cells = [Cell(kind, {"kind": kind, "seed": seed}) for seed in (1, 0, 2) for kind in ("replay", "accuracy")]
    accuracy = AccuracyMeasures(accuracy=0.5, samples=8)
    replay = ReplayMeasures(identical=True, differs=[], queries=1)
    measures: dict[str, CellMeasures] = {
        cell.address: accuracy if cell.kind == "accuracy" else replay for cell in cells[:4]
    }
    assert REPLAY.finished(cells, measures) == [(cells[0], replay), (cells[2], replay)]
    assert ACCURACY.of(cells[1], measures) is accuracy
    assert ACCURACY.of(cells[5], measures) is None
    with pytest.raises(TypeError, match="accuracy: expected AccuracyMeasures, found ReplayMeasures"):
        ACCURACY.typed(replay)
