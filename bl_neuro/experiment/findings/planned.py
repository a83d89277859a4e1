"""What `--plan` says about the statistics of an audit, from its cells and those that are finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.families import declared_families
from bl_neuro.experiment.findings.margins import EvaluatorMargin, evaluator_margins
from bl_neuro.experiment.findings.measure_power import membership_power, secrets_power
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import Measures
from bl_neuro.experiment.store import Store


@dataclass(frozen=True)
class PlannedStatistics:
    """The families, margins by evaluator, and power of all comparisons."""

    families: list[ComparisonFamily]
    margins: dict[str, EvaluatorMargin]
    power: list[PowerFinding]
    further_power: list[MeasurePower]


def planned_statistics(
    experiment: Experiment,
    material: Material,
    cells: Sequence[Cell],
    measures: Measures,
    records: Sequence[Record],
    store: Store,
    arithmetic: Mapping[str, str],
) -> PlannedStatistics:
    """The statistics of a plan. arithmetic: of each substrate."""
    classes = material.dataset_classes
    families = declared_families(experiment, cells, arithmetic)
    margins = evaluator_margins(experiment, classes, cells, measures, records)
    within = {name: one.margin for name, one in margins.items()}
    return PlannedStatistics(
        families=families,
        margins=margins,
        power=power_findings(experiment, cells, records, arithmetic, within),
        further_power=[
            *membership_power(
                experiment, _pool_size(experiment, material), cells, measures, store, arithmetic, families
            ),
            *secrets_power(experiment, classes, cells, measures, arithmetic, families),
        ],
    )


def _pool_size(experiment: Experiment, material: Material) -> int | None:
    """The number of samples of `[membership]`; None if it is all of a dataset that is missing."""
    part = experiment.membership
    if part is None or part.pool is not None or "missing" in material.definition:
        return None if part is None else part.pool
    data = material.data
    return len(data.labels) if data.held_out is None else int((~data.held_out).sum())
