"""The rows of an audit (each attack on each substrate, over all targets) and its inversions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.conversion import mean_of
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.models import (
    AccuracyRange,
    AuditCell,
    AuditRow,
    CellCount,
    EvaluatorMeasures,
    InversionJudgement,
)
from bl_neuro.experiment.findings.records import Record, unit_of
from bl_neuro.experiment.measures import ACCURACY, ATTACK, JUDGEMENT, AttackMeasures, Measures
from bl_neuro.leakage import Estimate, hit_bootstrap, seed_bootstrap

RowName = tuple[str, str, str, str]
"""Target, substrate, attack, output."""
SHOWN = {
    "membrane": "the output membrane in every step",
    "scores": "a score for each class",
    "spikes": "every output spike",
    "counts": "how often each output neuron spiked",
    "label": "the name of the winning class",
}
"""The outputs of a black box, in words."""


def audit_rows(cells: Sequence[Cell], measures: Measures, records: Sequence[Record]) -> list[AuditRow]:
    """One row per target, substrate, attack and output in the plan, with the measurements so far."""
    groups: dict[RowName, list[Cell]] = {}
    for cell in cells:
        if cell.kind == "attack" and cell.plain:
            groups.setdefault(_name(cell), []).append(cell)
    judged: dict[RowName, list[Record]] = {}
    for record in records:
        if record.plain:
            name = (record.target, record.substrate, record.attack, record.reveals)
            judged.setdefault(name, []).append(record)
    return [
        _row(name, attacks, measures, judged.get(name, []), _accuracy(name, cells, measures))
        for name, attacks in groups.items()
    ]


def _name(cell: Cell) -> RowName:
    facts = cell.facts
    return facts["target"], facts["substrate"], facts["attack"], facts["reveals"]


def _unit(cell: Cell) -> int:
    return unit_of(cell.facts["target"], cell.facts["seed"], cell.facts["restart"])


def _row(
    name: RowName,
    attacks: Sequence[Cell],
    measures: Measures,
    records: Sequence[Record],
    accuracy: AccuracyRange | None,
) -> AuditRow:
    target, substrate, attack, reveals = name
    done = ATTACK.finished(attacks, measures)
    budget, classes = attacks[0].definition["budget"], len(attacks[0].definition["classes"])
    first = done[0][1] if done else None
    return AuditRow(
        target=target,
        substrate=substrate,
        attack=attack,
        reveals=reveals,
        access=None if first is None else first.access,
        threat_model=None if first is None else threat_model(first.access, reveals, first.assumptions),
        cells=CellCount(planned=len(attacks), done=len(done)),
        budget_per_class=None if budget is None else budget / classes,
        queries_per_class=float(np.mean([measured.queries / classes for _, measured in done])) if done else None,
        status=dict(sorted(Counter(measured.status.value for _, measured in done).items())),
        target_accuracy=accuracy,
        target_success=_success(done),
        pearson_selectivity=_mean([(_unit(cell), measured.pearson_selectivity) for cell, measured in done]),
        spike_density=float(np.mean([measured.spike_density for _, measured in done])) if done else None,
        evaluators={
            evaluator: _judged([record for record in records if record.evaluator == evaluator])
            for evaluator in dict.fromkeys(record.evaluator for record in records)
        },
    )


def _judged(records: Sequence[Record]) -> EvaluatorMeasures:
    """The measures under one evaluator, from at least one record."""
    accuracy = _mean([(record.unit, [record.hit]) for record in records], hit_bootstrap)
    confidence = _mean([(record.unit, [record.confidence]) for record in records])
    rejected = [record.rejected for record in records if record.rejected is not None]
    return EvaluatorMeasures.model_validate(
        {
            "attack_accuracy": accuracy,
            "confidence": confidence,
            "rejected": float(np.mean(rejected)) if rejected else None,
        }
    )


def _accuracy(name: RowName, cells: Sequence[Cell], measures: Measures) -> AccuracyRange | None:
    """Accuracy of the targets of a row on its substrate: mean, minimum and maximum over seeds."""
    measured = [
        accuracy
        for cell, accuracy in ACCURACY.finished(cells, measures)
        if cell.plain and (cell.facts["target"], cell.facts["substrate"]) == name[:2]
    ]
    if not measured:
        return None
    values = [one.accuracy for one in measured]
    samples = min(one.samples for one in measured)
    return AccuracyRange(value=float(np.mean(values)), least=min(values), most=max(values), samples=samples)


def _success(done: Sequence[tuple[Cell, AttackMeasures]]) -> Mean | None:
    """How often the target itself predicts the intended class; None if it reveals no label."""
    hits = []
    for cell, measured in done:
        if measured.target_answers is None:
            return None
        answers = zip(measured.target_answers, cell.definition["classes"])
        hits.append((_unit(cell), [answer == label for answer, label in answers]))
    return _mean(hits, hit_bootstrap)


def _mean(
    values: Sequence[tuple[int, Sequence[float]]], bootstrap: Callable[[list[list[float]]], Estimate] = seed_bootstrap
) -> Mean | None:
    """Mean and 95% interval over independent units; None if there are no values.

    bootstrap: `hit_bootstrap` for hits, whose interval has a positive width even if all values are equal.
    """
    by_unit: dict[int, list[float]] = {}
    for unit, some in values:
        by_unit.setdefault(unit, []).extend(float(value) for value in some)
    return mean_of(bootstrap([by_unit[unit] for unit in sorted(by_unit)])) if by_unit else None


def audit_cells(cells: Sequence[Cell], measures: Measures) -> list[AuditCell]:
    """Every finished attack, with each evaluator's judgement of its inversions, in the order of the plan."""
    judged: dict[str, dict[str, InversionJudgement]] = {}
    for cell, judgement in JUDGEMENT.finished(cells, measures):
        scores = InversionJudgement(hits=judgement.hits, confidence=judgement.confidence)
        judged.setdefault(cell.needs[0].address, {})[cell.facts["evaluator"]] = scores
    return [
        AuditCell(
            address=cell.address,
            target=cell.facts["target"],
            seed=cell.facts["seed"],
            substrate=cell.facts["substrate"],
            attack=cell.facts["attack"],
            reveals=cell.facts["reveals"],
            restart=cell.facts["restart"],
            rung=cell.facts.get("rung"),
            mitigation=cell.facts.get("mitigation"),
            classes=cell.definition["classes"],
            status=measured.status.value,
            queries=measured.queries,
            target_answers=measured.target_answers,
            evaluators=judged.get(cell.address, {}),
        )
        for cell, measured in ATTACK.finished(cells, measures)
    ]


def threat_model(access: str, reveals: str, assumptions: Sequence[str]) -> str:
    """The attacker of a row: access, knowledge, observed output and assumptions."""
    assumed = f" Assumes that {' and that '.join(assumptions)}." if assumptions else ""
    if access == "white_box":
        return (
            "Holds the model file: runs the network at will, with its weights and the gradient of its "
            f"output membrane. Knows the input size and number of classes; has no training data.{assumed}"
        )
    if access == "ann":
        return (
            "Holds a network of the target’s size that does not spike, trained on the same data, with its weights and "
            f"gradients. Knows the input size and number of classes; has no training data.{assumed}"
        )
    return (
        f"May only query the deployed network, and sees {SHOWN[reveals]}. Every query is counted. Knows the "
        f"input size and the number of classes; has no weights, gradients or training data.{assumed}"
    )
