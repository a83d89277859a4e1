"""The cost in accuracy and the effect on leakage of each mitigation, paired with the same attacks without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart, Experiment
from bl_neuro.experiment.findings.conversion import difference_of, mean_of, verdict_of
from bl_neuro.experiment.findings.estimates import AccuracyChange, LeakageChange, MitigationFinding
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import Inversion, PairedArrays, Scores, inversion_of, paired, scores_of
from bl_neuro.experiment.measures import SERVICE, Measures
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.plan import views
from bl_neuro.leakage import hit_bootstrap, pair_verdicts, paired_test
from bl_neuro.mitigations.base import ANSWER_HOOKS
from bl_neuro.reveals import Reveals

WHOLE = 1.0
"""A margin for tests of which only the interval is used."""
Table = dict[Inversion, Scores]
Place = tuple[str | None, str, str, str]
"""Mitigation, substrate, attack and output."""
Accuracies = dict[tuple[str | None, str, str], dict[int, float]]
"""Accuracy by target seed; by mitigation, substrate and output."""


class Case(NamedTuple):
    """One mitigation against one attack. shown: the output that the box reveals with the mitigation."""

    part: MitigationPart
    attack: str
    reveals: Reveals
    shown: Reveals

    @property
    def changed(self) -> str | None:
        """The mitigation in the records of this case; None if the case only reveals another output of the target."""
        mitigation = self.part.mitigation
        return mitigation.label if mitigation.changes("inputs", "output", "network", "budget") else None


def mitigation_findings(
    experiment: Experiment,
    cells: Sequence[Cell],
    measures: Measures,
    records: Sequence[Record],
    margins: Mapping[str, float | None],
    unit: str = "seed",
) -> list[MitigationFinding]:
    """A finding for each mitigation, attack, output and evaluator with finished cells with and without it.

    Leakage is attack accuracy. All cases of one evaluator are tested together (Holm). margins: by evaluator. unit:
    the independent unit, in words.
    """
    cases = planned_cases(experiment, cells)
    served = _served(cells, measures)
    own = [record for record in records if record.target in OWN and record.rung is None]
    findings = []
    for evaluator in dict.fromkeys(record.evaluator for record in own):
        pairs = _pairs(cases, _tables([record for record in own if record.evaluator == evaluator]))
        verdicts = pair_verdicts(pairs, margins.get(evaluator)) if pairs else {}
        for name, verdict in verdicts.items():
            case = cases[int(name)]
            without, with_ = (mean_of(hit_bootstrap(values)) for values in pairs[name])
            removed, sentence = verdict_of(verdict), verdict.described(unit)
            leakage = {"without": without, "with": with_, "removed": removed, "sentence": sentence}
            findings.append(
                MitigationFinding(
                    mitigation=case.part.kind,
                    setting=case.part.mitigation.setting,
                    substrate=case.part.substrate,
                    attack=case.attack,
                    reveals=case.reveals,
                    evaluator=evaluator,
                    accuracy=_cost(case, served),
                    leakage=LeakageChange.model_validate(leakage),
                )
            )
    return findings


def planned_cases(experiment: Experiment, cells: Sequence[Cell]) -> list[Case]:
    """Every mitigation against every attack that the plan runs on its substrate."""
    return [case for part in experiment.mitigations for case in _cases(part, experiment.attacks, cells)]


def _pairs(cases: Sequence[Case], tables: Mapping[Place, Table]) -> dict[str, PairedArrays]:
    """By case number, hits without and with the mitigation, of the inversions that are finished in both."""
    pairs = {}
    for number, case in enumerate(cases):
        place = (case.part.substrate, case.attack)
        without, with_ = tables.get((None, *place, case.reveals)), tables.get((case.changed, *place, case.shown))
        if without and with_ and without.keys() & with_.keys():
            pairs[str(number)] = paired(without, with_, "hit")
    return pairs


def _cases(part: MitigationPart, attacks: Sequence[AttackPart], cells: Sequence[Cell]) -> list[Case]:
    planned = {
        (cell.facts["attack"], cell.facts["reveals"])
        for cell in cells
        if cell.kind == "attack" and cell.plain and cell.facts["substrate"] == part.substrate
    }
    return [
        Case(part, attack.called, reveals, part.mitigation.reveals(reveals))
        for attack in attacks
        for reveals in views(
            part, attack, [shown for shown in attack.reveals or [] if (attack.called, shown) in planned]
        )
    ]


def _cost(case: Case, served: Accuracies) -> AccuracyChange | None:
    """Accuracy without and with the mitigation; None if one is not measured, or if no answer changes."""
    if not case.part.mitigation.changes(*ANSWER_HOOKS):
        return None
    without = served.get((None, case.part.substrate, case.reveals), {})
    with_ = served.get((case.changed, case.part.substrate, case.shown), {})
    seeds = sorted(without.keys() & with_.keys())
    if not seeds:
        return None
    one, other = ([np.array([values[seed]]) for seed in seeds] for values in (without, with_))
    difference = paired_test(one, other, WHOLE).difference
    if np.array_equal(one, other):  # over all test samples, as where a mitigation keeps every label
        difference = replace(difference, low=0.0, high=0.0)
    lost = difference_of(difference)

    change = {"without": float(np.mean(one)), "with": float(np.mean(other)), "lost": lost}
    return AccuracyChange.model_validate(change)


def _served(cells: Sequence[Cell], measures: Measures) -> Accuracies:
    accuracies: Accuracies = {}
    for cell, measured in SERVICE.finished(cells, measures):
        key = (cell.facts.get("mitigation"), cell.facts["substrate"], cell.facts["reveals"])
        accuracies.setdefault(key, {})[cell.facts["seed"]] = measured.accuracy
    return accuracies


def _tables(records: Sequence[Record]) -> dict[Place, Table]:
    tables: dict[Place, Table] = {}
    for record in records:
        place = (record.mitigation, record.substrate, record.attack, record.reveals)
        tables.setdefault(place, {})[inversion_of(record)] = scores_of(record)
    return tables
