"""Estimates of a plan name their source; recorded costs are found again by workload, then by similarity."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bl_neuro.api import progress
from bl_neuro.api.plan import AuditPlan, plan_audit
from bl_neuro.experiment import cost_estimates
from bl_neuro.experiment.cell_cost import CellCost, cell_cost
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_estimates import CostTable, Estimates
from bl_neuro.experiment.cost_log import CostLog, RecordedCost
from bl_neuro.experiment.reference_costs import ReferenceCosts, calibration_seconds, reference_costs
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.store import Store, Times


def recorded(workload: str, similar: list[str], amount: float, seconds: float) -> RecordedCost:
    return RecordedCost(machine="this", workload=workload, similar=similar, amount=amount, seconds=seconds)


def test_equal_workloads_come_before_similar_ones_in_proportion() -> None:
    table = CostTable(
        [
            recorded("a", ["attack v2 loihi", "attack"], 10.0, 2.0),
            recorded("a", ["attack v2 loihi", "attack"], 10.0, 4.0),
            recorded("b", ["attack v1 loihi", "attack"], 100.0, 7.0),
        ]
    )
    assert table.seconds(CellCost("a", ["attack v2 loihi", "attack"], 10.0)) == 3.0
    assert table.seconds(CellCost("c", ["attack v2 loihi", "attack"], 20.0)) == 6.0
    assert table.seconds(CellCost("c", ["attack v1 slayer", "attack v1 loihi"], 50.0)) == 3.5
    assert table.seconds(CellCost("c", ["evaluator"], 1.0)) is None


def test_workloads_differ_in_more_than_seeds(small: Path, tmp_path: Path) -> None:
    audit = Audit.of(str(small), tmp_path)
    by_label = {cell.label: cell_cost(cell, audit.material) for cell in audit.cells}
    assert by_label["target target trained seed 0"] == by_label["target target trained seed 1"]
    kinds = {cost.similar[-1] for cost in by_label.values()}
    assert kinds == {"target", "evaluator", "accuracy", "attack", "judgement"}
    assert all(cost.amount > 0 for cost in by_label.values())


def test_costs_are_kept_with_damaged_lines_left_out(tmp_path: Path) -> None:
    log = CostLog(tmp_path)
    log.add(CellCost("a", ["attack"], 2.0), 1.5)
    with log.path.open("ab") as file:
        file.write(b'{"machine": "another", "workload": "a", "similar": [], "amount": 1, "seconds": 1}\n{"half\n\xff\n')
    log.add(CellCost("b", ["attack"], 2.0), 2.5)
    assert [(cost.workload, cost.seconds) for cost in log.read()] == [("a", 1.5), ("b", 2.5)]


def test_the_older_half_of_a_large_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bl_neuro.experiment.cost_log.MOST_BYTES", 500)
    log = CostLog(tmp_path)
    for seconds in range(10):
        log.add(CellCost("a", ["attack"], 2.0), float(seconds))
    assert log.path.stat().st_size <= 500
    assert log.read()[-1].seconds == 9.0


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cache that is on."""
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BL_NEURO_CACHE_MIB", "64")
    return tmp_path / "cache"


def planned(small: Path, tmp_path: Path) -> AuditPlan:
    return plan_audit(small, tmp_path / "out")


def test_without_runs_the_reference_is_scaled_by_the_calibration(
    small: Path, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(small, tmp_path)
    assert plan.sources == {"reference": 17}
    assert plan.unknown == 0
    slower = 2 * reference_costs().calibration_seconds
    monkeypatch.setattr(cost_estimates, "calibration_seconds", lambda: slower)
    twice = planned(small, tmp_path).seconds_left
    monkeypatch.setattr(cost_estimates, "calibration_seconds", lambda: slower / 2)
    assert planned(small, tmp_path).seconds_left == pytest.approx(twice / 2)
    empty = ReferenceCosts(processor="", calibration_seconds=1.0, costs=[])
    monkeypatch.setattr(cost_estimates, "reference_costs", lambda: empty)
    assert planned(small, tmp_path).sources == {"unknown": 17}


def test_costs_of_earlier_runs_come_before_the_reference(small: Path, tmp_path: Path, shared: Path) -> None:
    audit = Audit.of(str(small), tmp_path / "earlier")
    attacks = [cell for cell in audit.cells if cell.kind == "attack"]
    for cell in attacks:
        CostLog(shared).add(cell_cost(cell, audit.material), 100.0)
    plan = planned(small, tmp_path)
    assert plan.sources == {"earlier runs": len(attacks), "reference": 17 - len(attacks)}
    rows = [row for row in plan.rows if row.kind == "attack"]
    assert sum(row.seconds_left or 0.0 for row in rows) == pytest.approx(100.0 * len(attacks))
    assert {row.estimated_from for row in rows} == {("earlier runs",)}


def test_equal_workloads_of_earlier_runs_come_before_similar_ones_of_this_run(
    small: Path, undisturbed: Path, tmp_path: Path, shared: Path
) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(small.read_text().replace("queries = 16", "queries = 32"))
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    audit = Audit.of(str(changed), out)
    waiting = audit.state().waiting
    assert {cell.kind for cell in waiting} == {"attack", "judgement"}
    assert plan_audit(changed, out).sources == {"this run": len(waiting)}
    attacks = [cell for cell in waiting if cell.kind == "attack"]
    CostLog(shared).add(cell_cost(attacks[0], audit.material), 1000.0)
    plan = plan_audit(changed, out)
    equal = [cell for cell in attacks if cell_cost(cell, audit.material) == cell_cost(attacks[0], audit.material)]
    assert plan.sources == {"earlier runs": len(equal), "this run": len(waiting) - len(equal)}
    assert plan.seconds_left >= 1000.0 * len(equal) > 0

    estimates = Estimates.of_user(audit.material, audit.store, True)
    estimates.add([cell for cell in audit.cells if cell not in waiting])
    store = audit.store
    store.write(attacks[0].definition, measured(undisturbed, attacks[0]), Times(seconds=7.0))
    assert estimates.of(attacks[0]) == (1000.0, "earlier runs")
    estimates.add(attacks[:1])
    assert estimates.of(attacks[0]) == (7.0, "this run")


def measured(folder: Path, like: Cell) -> CellMeasures:
    """The measures of a finished cell of the same kind."""
    results = (Store(folder).read(path.stem) for path in (folder / "cells").glob("*.json"))
    return next(one.measures for one in results if one is not None and one.definition["kind"] == like.kind)


def test_the_progress_bar_shows_the_time_of_the_plan(
    small: Path, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit.of(str(small), tmp_path / "out")
    for cell in audit.cells:
        CostLog(shared).add(cell_cost(cell, audit.material), 60.0)
    shown: list[float | None] = []
    monkeypatch.setattr(progress, "_is_visible", lambda: True)

    def recorded_duration(seconds: float | None) -> str:
        shown.append(seconds)
        return ""

    monkeypatch.setattr(progress, "duration", recorded_duration)
    with progress.audit_progress(audit, "auto") as update:
        assert update is not None
        update(audit.state())
    assert shown == [pytest.approx(planned(small, tmp_path).seconds_left)] == [60.0 * 17]


def test_the_calibration_takes_a_moment() -> None:
    assert 0.0 < calibration_seconds() < 60.0
