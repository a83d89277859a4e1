"""The smallest differences between substrates that an audit can detect, from measurements or stated assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb

from bl_neuro.backends import find_backend
from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.estimates import MEASURES, Measure, PowerFinding
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.records import Record, unit_of
from bl_neuro.experiment.findings.verdicts import Arithmetics, SubstratePair, View, families
from bl_neuro.leakage import PowerPlan, hit_spread, observed_plan
from bl_neuro.leakage.power import POWER

FEWEST = 3
"""Minimum number of finished independent units for using measurements instead of assumptions."""
ACCURACY, CORRELATION = 0.9, 0.5
"""Assumed attack accuracy on both substrates, and assumed correlation of their hits."""
SPREAD = 0.05
"""Assumed sd, over independent units, of the true difference between two substrates."""
CONFIDENCE_WITHIN = 0.2
"""Assumed sd of the difference between two substrates in the confidence of one inversion."""


def power_findings(
    experiment: Experiment,
    cells: Sequence[Cell],
    records: Sequence[Record],
    arithmetic: Arithmetics,
    margins: Mapping[str, float | None],
) -> list[PowerFinding]:
    """For each attack, output, evaluator and measure, the smallest difference and margin with power 0.8.

    The independent units are target seeds or, for one given model, restarts. Among several pairs of substrates, the one
    with the largest variation counts. Power is not defined for audits with one unit, or for attacks that run only on
    substrates with the same arithmetic, which must score the same.
    """
    views = _views(cells)
    planned = {view: _pairs(substrates) for view, (substrates, _, _) in views.items()}
    measured = families(records, arithmetic)
    findings = []
    for evaluator in dict.fromkeys(part.called for part in experiment.evaluators):
        for measure in MEASURES:
            pairs = measured.get((evaluator, measure), [])
            comparisons = max(len(pairs), sum(planned.values()), 1)
            for view, (_, units, inversions) in views.items():
                own = [pair for pair in pairs if (pair.attack, pair.reveals) == view]
                if units < 2 or (planned[view] == 0 and not own):
                    continue
                observed = _observed([pair for pair in own if len(pair.values[0]) >= FEWEST], comparisons)
                full = replace(observed or assumed_plan(measure, comparisons), seeds=units, inversions=inversions)
                findings.append(_finding(view, evaluator, measure, full, margins.get(evaluator), observed is None))
    return findings


def _observed(pairs: list[SubstratePair], comparisons: int) -> PowerPlan | None:
    """The variation of the pair that varies most; None if no pair varies so far."""
    plans = [observed_plan(*pair.values, comparisons) for pair in pairs]
    return max((plan for plan in plans if plan.error > 0), key=lambda plan: plan.error, default=None)


def assumed_plan(measure: Measure, comparisons: int) -> PowerPlan:
    """The assumed variation of one measure, for two units of one inversion."""
    within = hit_spread(ACCURACY, ACCURACY, CORRELATION) if measure == "hit" else CONFIDENCE_WITHIN
    return PowerPlan(2, 1, SPREAD, within, comparisons)


def _views(cells: Sequence[Cell]) -> dict[View, tuple[list[tuple[str, bool]], int, int]]:
    """By attack and output: the substrates, whether they are endpoints, independent units, and inversions per unit.

    Attacks on ANN twins do not run on substrates and are left out.
    """
    groups: dict[View, list[Cell]] = {}
    for cell in cells:
        if cell.kind == "attack" and cell.plain and cell.facts["target"] in OWN and cell.facts["substrate"] != ANN:
            groups.setdefault((cell.facts["attack"], cell.facts["reveals"]), []).append(cell)
    return {
        view: (
            list({cell.facts["substrate"]: "endpoint" in cell.definition for cell in group}.items()),
            *_size(group),
        )
        for view, group in groups.items()
    }


def _size(group: Sequence[Cell]) -> tuple[int, int]:
    """Number of independent units of the cells of one attack and output, and of inversions per unit."""
    runs = {(cell.facts["target"], cell.facts["seed"], cell.facts["restart"]) for cell in group}
    units = len({unit_of(*run) for run in runs})
    return units, len(runs) // units * len(group[0].definition["classes"])


def _pairs(substrates: list[tuple[str, bool]]) -> int:
    """Number of pairs to compare. Pairs with the same arithmetic must score the same, except endpoints."""
    kinds = [None if endpoint else find_backend(name).arithmetic for name, endpoint in substrates]
    return comb(len({kind for kind in kinds if kind is not None}) + kinds.count(None), 2)


def _finding(
    view: View, evaluator: str, measure: Measure, plan: PowerPlan, margin: float | None, assumed: bool
) -> PowerFinding:
    return PowerFinding(
        attack=view[0],
        reveals=view[1],
        evaluator=evaluator,
        measure=measure,
        comparisons=plan.comparisons,
        seeds=plan.seeds,
        inversions=plan.inversions,
        spread=plan.spread,
        within=plan.within,
        assumed=assumed,
        smallest_difference=plan.smallest_difference(),
        smallest_margin=plan.smallest_margin(),
        margin=margin,
        equivalence_power=0.0 if margin is None else plan.equivalence_power(margin),
        power=POWER,
    )
