"""Which step from the float network to what a deployed one shows changes leakage, from an audit's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from bl_neuro.access import REVEALS
from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.ladder import STEPS
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart, Experiment, LadderPart
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import MEASURES, finite
from bl_neuro.experiment.plan import levels, shown_first
from bl_neuro.leakage import Attribution, attribute


class Rung(NamedTuple):
    """One level of the whole ladder: what is run, where, and what the attacker is shown."""

    name: str
    step: str
    substrate: str
    made: str | None
    reveals: str


def ladder_findings(experiment: Experiment, cells: Sequence[Cell], records: Sequence[Record]) -> list[dict[str, Any]]:
    """For each attack, evaluator and measure, the levels of the ladder and what each step changes.

    Of inversions that are done on every rung; an attack of which there are none is left out.
    """
    part = experiment.ladder
    if part is None:
        return []
    own = [each for each in records if each.target in ("trained", "given") and each.mitigation is None]
    stated = not any(cell.kind == "rung" for cell in cells)
    found = []
    for attack in experiment.attacks:
        if part.attacks is not None and attack.called not in part.attacks:
            continue
        rungs = _rungs(part, attack, stated)
        done = [each for each in own if each.attack == attack.called]
        for evaluator, measure in product(dict.fromkeys(each.evaluator for each in done), MEASURES):
            values = _values(rungs, [each for each in done if each.evaluator == evaluator], measure)
            if values:
                facts = {"attack": attack.called, "reveals": rungs[0].reveals}
                facts |= {"evaluator": evaluator, "measure": measure}
                found.append(finite({**facts, **_told(rungs, attribute(values, experiment.margin))}))
    return found


def _rungs(part: LadderPart, attack: AttackPart, stated: bool) -> list[Rung]:
    """The rungs of deployment, then of what the last of them reveals."""
    first = shown_first(part, attack)
    found = [
        Rung(level.rung, STEPS[level.rung], level.substrate, level.made, first or "gradient")
        for level in levels(part, stated)
    ]
    if first is None:
        return found
    later = REVEALS[REVEALS.index(first) + 1 :]
    return found + [
        Rung(f"reveals {shown}", f"shows {shown}", part.loihi, None, shown)
        for shown in later
        if shown in (attack.reveals or [])
    ]


def _values(rungs: list[Rung], records: list[Record], measure: str) -> dict[str, list[FloatArray]]:
    """By rung, an array a target seed, of the inversions that every rung has; empty where there are none."""
    tables = [
        {
            (each.seed, each.label, each.restart): float(getattr(each, measure))
            for each in records
            if (each.substrate, each.rung, each.reveals) == (rung.substrate, rung.made, rung.reveals)
        }
        for rung in rungs
    ]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    if not shared:
        return {}
    seeds = dict.fromkeys(seed for seed, _, _ in shared)
    return {
        rung.name: [np.array([table[each] for each in shared if each[0] == seed]) for seed in seeds]
        for rung, table in zip(rungs, tables)
    }


def _told(rungs: list[Rung], found: Attribution) -> dict[str, Any]:
    return {
        "levels": [
            {
                "rung": rung.name,
                "substrate": rung.substrate,
                "reveals": rung.reveals,
                "step": rung.step,
                "estimate": asdict(found.levels[rung.name]),
            }
            for rung in rungs
        ],
        "steps": [
            {"name": step.name, "before": step.before, "change": asdict(step.change), "sentence": step.change.sentence}
            for step in found.steps
        ],
        "total": asdict(found.total),
        "sentence": found.total.sentence,
    }
