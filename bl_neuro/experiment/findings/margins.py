"""The margins of comparisons of attack accuracy: a stated share of the range in which queries can gain anything.

The range of an evaluator goes from what an attacker who asks nothing reaches under it, the null, to the accuracy with
which it recognises real test samples, the ceiling:

    margin = margin_share (ceiling - null)

The null is the largest attack accuracy among the zero-query baselines: pictures from public knowledge, and the prior of
each attack on targets without information, pooled over substrates; chance where none is higher. With the default share
of a fifth, two substrates that are equivalent keep at least four fifths of what an attack can gain over asking nothing.
This is stricter than clinical non-inferiority trials, which usually ask to keep half of the effect of a treatment over
a placebo.

A margin depends on the evaluator, on baselines and on real samples, and on no attack on a target that has something to
leak: it is the same for all pairs of substrates, attacks and outputs, and could be computed before any of them ran.
It serves attack accuracy and confidence alike, which have the same scale.

Where the margin would be below one point, queries can gain next to nothing over no query under this evaluator. There is
no range, and equivalence is not asked: equal attack accuracies would say nothing about leakage. Differences are tested
as always. A margin that the experiment states in points (`margin`) is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import Field

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.estimates import Finding, Fraction, Number
from bl_neuro.experiment.findings.records import Record, hits_by_unit
from bl_neuro.experiment.measures import BASELINE_JUDGEMENT, EVALUATOR, Measures
from bl_neuro.leakage.baseline_registry import BASELINES, PRIOR_TITLE
from bl_neuro.rounding import fixed

UNINFORMED = ("untrained", "shuffled_weights")
"""Targets without information, whose inversions show the attack's prior alone."""
LEAST_MARGIN = 0.01
"""Smallest margin: below, there is no range."""
GUESSING = "guessing"
UNFINISHED = "; not every attacker who asks nothing is measured yet, and the margin may become smaller"
Nulls = dict[str, tuple[float, str]]
"""By evaluator, the accuracy of the best attacker who asks nothing, and its name."""


class EvaluatorMargin(Finding):
    """The margin of all comparisons under one evaluator, and its reason."""

    evaluator: str
    margin: Number | None = Field(gt=0, description="In 0..1; null where there is no range: equivalence is not asked.")
    share: Fraction | None = Field(description="Of the range from null to ceiling; null for a margin set in points.")
    null: Fraction = Field(description="Attack accuracy of the best attacker who asks nothing.")
    null_is: str = Field(description="Name of that attacker.")
    ceiling: Fraction = Field(description="Accuracy on real test samples; 1 while it is not known.")
    reason: str = Field(description="In a clause, with the figures.")


def evaluator_margins(
    experiment: Experiment, classes: int, cells: Sequence[Cell], measures: Measures, records: Sequence[Record]
) -> dict[str, EvaluatorMargin]:
    """The margin under each evaluator, from the finished cells. classes: of the dataset.

    Before any evaluator or baseline is done, the range is that from guessing to 1. The reason says so while baselines
    are missing, since each can only raise the null.
    """
    nulls, ceilings = _nulls(cells, measures, records), _ceilings(cells, measures)
    chance, unfinished = (1 / classes, GUESSING), unfinished_under(cells, measures)
    return {
        name: _margin(
            experiment, name, max(chance, nulls.get(name, chance)), ceilings.get(name), name not in unfinished
        )
        for name in dict.fromkeys(part.called for part in experiment.evaluators)
    }


def unfinished_under(cells: Sequence[Cell], measures: Measures) -> set[str]:
    """The evaluators that have not judged the pictures of all planned baselines yet."""
    planned = [cell for cell in cells if cell.kind == BASELINE_JUDGEMENT.name]
    return {cell.facts["evaluator"] for cell in planned if cell.address not in measures}


def _margin(
    experiment: Experiment, evaluator: str, null: tuple[float, str], ceiling: float | None, finished: bool
) -> EvaluatorMargin:
    (low, name), high = null, 1.0 if ceiling is None else ceiling
    given, share = experiment.margin, experiment.margin_share
    wanted = share * (high - low) if given is None else given
    margin = wanted if given is not None or wanted >= LEAST_MARGIN else None
    return EvaluatorMargin(
        evaluator=evaluator,
        margin=margin,
        share=share if given is None else None,
        null=low,
        null_is=name,
        ceiling=high,
        reason=_reason(margin, share if given is None else None, (low, name), ceiling)
        + ("" if finished or given is not None else UNFINISHED),
    )


def _reason(margin: float | None, share: float | None, null: tuple[float, str], ceiling: float | None) -> str:
    if share is None:
        return "stated in the experiment"
    low = f"{_percent(null[0])} ({null[1]}{'' if null[1] == GUESSING else ', without a query'})"
    high = "100% (no accuracy on real samples is known yet)" if ceiling is None else _percent(ceiling)
    if margin is None:
        return f"no range: {low} leaves queries next to nothing to gain, since real samples reach {high}"
    return f"{_percent(share)} of the range from {low} to {high}{'' if ceiling is None else ' (real samples)'}"


def _percent(fraction: float) -> str:
    return f"{fixed(100 * fraction, 1).removesuffix('.0')}%"


def _ceilings(cells: Sequence[Cell], measures: Measures) -> dict[str, float]:
    """The mean accuracy of each evaluator on real test samples."""
    accuracies: dict[str, list[float]] = {}
    for cell, measured in EVALUATOR.finished(cells, measures):
        accuracies.setdefault(cell.facts["evaluator"], []).append(measured.accuracy)
    return {name: float(np.mean(values)) for name, values in accuracies.items()}


def _nulls(cells: Sequence[Cell], measures: Measures, records: Sequence[Record]) -> Nulls:
    """The best baseline under each evaluator, of those that are done."""
    accuracies: dict[tuple[str, str], list[float]] = {}
    for cell, judged in BASELINE_JUDGEMENT.finished(cells, measures):
        name = ", ".join(filter(None, (BASELINES.find(cell.facts["baseline"]).title, cell.facts["layout"])))
        accuracies.setdefault((cell.facts["evaluator"], name), []).append(float(np.mean(judged.hits)))
    for (evaluator, attack, reveals), own in _priors(records).items():
        units = [float(hits.mean()) for hits in hits_by_unit(own)]
        accuracies[evaluator, f"{PRIOR_TITLE}: {attack}, {reveals}"] = units
    best: Nulls = {}
    for (evaluator, name), values in accuracies.items():
        best[evaluator] = max(best.get(evaluator, (0.0, GUESSING)), (float(np.mean(values)), name))
    return best


def _priors(records: Iterable[Record]) -> Mapping[tuple[str, str, str], list[Record]]:
    """The inversions of targets without information, by evaluator, attack and output."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.target in UNINFORMED:
            groups.setdefault((record.evaluator, record.attack, record.reveals), []).append(record)
    return groups
