"""Lists what an audit would run, how much of it is done, and how long the rest takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bl_neuro.data.registry import dataset_source
from bl_neuro.errors import DataError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_estimates import SOURCES, Estimates, Source, total
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.compute import compared_arithmetics
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.margins import EvaluatorMargin
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.experiment.findings.planned import planned_statistics
from bl_neuro.experiment.findings.records import records
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.missing_material import MissingMaterial
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.running.runner import run_state
from bl_neuro.experiment.session import Audit
from bl_neuro.files import expanded

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("kind", "target", "substrate", "attack", "reveals")
"""Properties that the cells of one row of a plan share."""


@dataclass(frozen=True)
class PlanRow:
    """Cells of one kind. seconds_left: with one process; None if the cost of a cell is not known.

    estimated_from: the sources of the estimates for the cells that are not done; see `AuditPlan.sources`.
    """

    kind: str
    target: str
    substrate: str
    attack: str
    reveals: str
    cells: int
    done: int
    seconds_left: float | None
    estimated_from: tuple[Source, ...] = ()


@dataclass(frozen=True, repr=False)
class AuditPlan:
    """The cells of an audit.

    seconds_left: estimated time with one process for the cells whose cost is known. unknown: number of remaining cells
    whose cost is not known. sources: number of remaining cells by the source of their estimate: "cache" (their results
    are in the cache that runs share), "this run" (similar cells of this run are done), "earlier runs" (on this
    machine), "reference" (another machine, scaled by a calibration of half a second) and "unknown". power: the
    differences between substrates that this plan can detect by inversion; further_power: by membership and planted
    secrets. margins: of each evaluator, as known so far. families: the comparisons that are tested together. damaged:
    results that will be computed again. not_run: substrates that are left out, with the reason. missing_data: why the
    dataset is not available, or None. Without the dataset, all cells are planned, because finished cells cannot be
    identified.
    """

    experiment: Experiment
    rows: tuple[PlanRow, ...]
    cells: int
    done: int
    seconds_left: float
    unknown: int
    sources: dict[Source, int]
    power: tuple[PowerFinding, ...]
    further_power: tuple[MeasurePower, ...]
    margins: tuple[EvaluatorMargin, ...]
    families: tuple[ComparisonFamily, ...]
    damaged: tuple[str, ...]
    not_run: dict[str, str]
    missing_data: str | None = None

    @property
    def table(self) -> DataFrame:
        """The rows as a pandas DataFrame."""
        from pandas import DataFrame

        columns = [*COLUMNS, "cells", "done", "seconds_left", "estimated_from"]
        return DataFrame([vars(row) for row in self.rows], columns=columns)

    def __repr__(self) -> str:
        unknown = f" and {self.unknown} cells of unknown cost" if self.unknown else ""
        left = f"{self.seconds_left:.0f} s{unknown}"
        return f"<AuditPlan of {self.experiment.name}: {self.done} of {self.cells} cells done, {left} left>"

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, border=0))


def plan_audit(
    experiment: str | Path | Experiment,
    out: str | Path | None = None,
    *,
    root: str | Path | None = None,
    cache: bool = True,
) -> AuditPlan:
    """Plans an audit without running or writing anything. Arguments and errors are those of `bl.audit`."""
    folders = (None if path is None else expanded(path) for path in (out, root))
    return plan_of(Audit.of(experiment, *folders, cache=cache))


def plan_of(audit: Audit) -> AuditPlan:
    """The plan of a prepared audit. Raises ReportError if its folder holds an audit of another model or dataset."""
    audit.store.need_subject(audit.subject)
    planned, material, missing_data = _cells(audit)
    state, source = run_state(planned, audit.store), Estimates.of_user(material, audit.store, audit.cache)
    source.add(cell for cell in planned if cell.address in state.finished)
    estimates = {cell.address: source.of(cell) for cell in state.waiting}
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in planned:
        groups.setdefault(_group(cell), []).append(cell)
    rows = []
    for group, cells in groups.items():
        waiting = [estimates[cell.address] for cell in cells if cell.address in estimates]
        seconds, unknown = total(waiting)
        kind, target, substrate, attack, reveals = group
        done, expected = len(cells) - len(waiting), None if unknown else seconds
        used = Counter(estimate.source for estimate in waiting)
        sources = tuple(source for source in SOURCES if source in used)
        rows.append(PlanRow(kind, target, substrate, attack, reveals, len(cells), done, expected, sources))
    seconds, unknown = total(list(estimates.values()))
    used = Counter(estimate.source for estimate in estimates.values())
    statistics = planned_statistics(
        audit.runnable,
        material,
        planned,
        {cell.address: result.measures for cell in planned if (result := audit.store.read(cell.address)) is not None},
        records(planned, audit.store),
        audit.store,
        compared_arithmetics(audit.runnable),
    )
    return AuditPlan(
        experiment=audit.experiment,
        rows=tuple(rows),
        cells=len(planned),
        done=len(state.finished),
        seconds_left=seconds,
        unknown=unknown,
        sources={source: used[source] for source in SOURCES if source in used},
        power=tuple(statistics.power),
        further_power=tuple(statistics.further_power),
        margins=tuple(statistics.margins.values()),
        families=tuple(statistics.families),
        damaged=tuple(state.torn),
        not_run=audit.not_run,
        missing_data=missing_data,
    )


def _cells(audit: Audit) -> tuple[list[Cell], Material, str | None]:
    """The cells, their inputs, and why the dataset is not available: then its published facts are used to plan."""
    try:
        return audit.cells, audit.material, None
    except DataError as error:
        source = dataset_source(audit.experiment.dataset.name)
        if audit.experiment.given or source is None or source.classes is None:
            raise
        material = MissingMaterial(audit.runnable, audit.place)
        return plan_cells(audit.runnable, material), material, str(error)


def _group(cell: Cell) -> tuple[str, ...]:
    facts = cell.facts
    target = ", ".join(str(facts[name]) for name in ("target", "rung", "mitigation") if facts.get(name) is not None)
    attack = facts.get("attack") or (f"{facts['ask']} asks" if "ask" in facts else "")
    shown = cell.definition.get("reveals", "")
    reveals = facts.get("reveals") or (", ".join(shown) if isinstance(shown, list) else "")
    return cell.kind, target, str(facts.get("substrate", "")), str(attack), str(reveals)
