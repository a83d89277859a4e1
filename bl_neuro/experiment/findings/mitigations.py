"""What each mitigation costs in accuracy and removes of leakage, paired with the same attacks without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart, Experiment
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import finite, paired
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.plan import views
from bl_neuro.leakage import hit_bootstrap, pair_verdicts, paired_test
from bl_neuro.mitigations.base import ANSWER_HOOKS
from bl_neuro.reveals import Reveals

Values = dict[tuple[int, int, int], tuple[float, float]]
Accuracies = dict[tuple[str | None, str, str], dict[int, float]]
"""Accuracy by target seed; by mitigation, substrate and what is revealed."""


class Case(NamedTuple):
    """One mitigation against one attack. shown: what a box reveals with it."""

    part: MitigationPart
    attack: str
    reveals: Reveals
    shown: Reveals

    @property
    def changed(self) -> str | None:
        """The mitigation that records name: none where it is another view of the same target."""
        mitigation = self.part.mitigation
        return mitigation.label if mitigation.changes("inputs", "output", "network", "budget") else None


def mitigation_findings(
    experiment: Experiment, cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """A finding for each mitigation, attack, view and evaluator of which something is done, with and without it.

    Leakage is attack accuracy; all cases of one evaluator are judged together (Holm).
    """
    cases = [case for part in experiment.mitigations for case in _cases(part, experiment.attacks, cells)]
    served = _served(cells, measures)
    own = [each for each in records if each.target in ("trained", "given") and each.rung is None]
    found = []
    for evaluator in dict.fromkeys(each.evaluator for each in own):
        tables = _tables([each for each in own if each.evaluator == evaluator])
        pairs = {}
        for number, case in enumerate(cases):
            place = (case.part.substrate, case.attack)
            without, with_ = tables.get((None, *place, case.reveals)), tables.get((case.changed, *place, case.shown))
            if without and with_ and without.keys() & with_.keys():
                pairs[str(number)] = paired(without, with_, 0)
        verdicts = pair_verdicts(pairs, experiment.margin) if pairs else {}
        for name, verdict in verdicts.items():
            case = cases[int(name)]
            leakage = {
                "without": asdict(hit_bootstrap(pairs[name][0])),
                "with": asdict(hit_bootstrap(pairs[name][1])),
                "removed": asdict(verdict),
                "sentence": verdict.sentence,
            }
            found.append(
                finite(
                    {
                        **_facts(case),
                        "evaluator": evaluator,
                        "accuracy": _cost(case, served, experiment.margin),
                        "leakage": leakage,
                    }
                )
            )
    return found


def _cases(part: MitigationPart, attacks: Sequence[AttackPart], cells: Sequence[Cell]) -> list[Case]:
    planned = {
        (cell.facts["attack"], cell.facts["reveals"])
        for cell in cells
        if cell.kind == "attack" and cell.plain and cell.facts["substrate"] == part.substrate
    }
    return [
        Case(part, attack.called, reveals, part.mitigation.reveals(reveals))
        for attack in attacks
        for reveals in views(part, attack, [each for each in attack.reveals or [] if (attack.called, each) in planned])
    ]


def _facts(case: Case) -> dict[str, Any]:
    return {
        "mitigation": case.part.kind,
        "setting": case.part.mitigation.setting,
        "substrate": case.part.substrate,
        "attack": case.attack,
        "reveals": case.reveals,
    }


def _cost(case: Case, served: Accuracies, margin: float) -> dict[str, Any] | None:
    """Accuracy without and with; None before both are measured, and where no answer changes."""
    if not case.part.mitigation.changes(*ANSWER_HOOKS):
        return None
    without = served.get((None, case.part.substrate, case.reveals), {})
    with_ = served.get((case.changed, case.part.substrate, case.shown), {})
    seeds = sorted(without.keys() & with_.keys())
    if not seeds:
        return None
    one, other = ([np.array([values[seed]]) for seed in seeds] for values in (without, with_))
    lost = asdict(paired_test(one, other, margin).difference)
    return {"without": float(np.mean(one)), "with": float(np.mean(other)), "lost": lost}


def _served(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> Accuracies:
    found: Accuracies = {}
    for cell in cells:
        if cell.kind == "service" and cell.address in measures:
            key = (cell.facts.get("mitigation"), cell.facts["substrate"], cell.facts["reveals"])
            found.setdefault(key, {})[cell.facts["seed"]] = measures[cell.address]["accuracy"]
    return found


def _tables(records: Sequence[Record]) -> dict[tuple[str | None, str, str, str], Values]:
    tables: dict[tuple[str | None, str, str, str], Values] = {}
    for each in records:
        key = (each.mitigation, each.substrate, each.attack, each.reveals)
        tables.setdefault(key, {})[each.seed, each.label, each.restart] = (float(each.hit), each.confidence)
    return tables
