"""Finds the steps from the float network to the deployed one that change leakage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bl_neuro.access import REVEALS
from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.ladder import STEPS
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart, Experiment, LadderPart
from bl_neuro.experiment.findings.conversion import mean_of, verdict_of
from bl_neuro.experiment.findings.estimates import MEASURES, LadderFinding, LadderLevel, LadderStep, Measure
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import inversion_of, scores_of
from bl_neuro.experiment.plan import levels, shown_first
from bl_neuro.leakage import attribute


class MeasuredRung(NamedTuple):
    """One level of the ladder: its network, its substrate, and the output that the attacker sees."""

    name: str
    step: str
    substrate: str
    made: str | None
    reveals: str


def ladder_findings(
    experiment: Experiment,
    cells: Sequence[Cell],
    records: Sequence[Record],
    margins: Mapping[str, float | None],
    unit: str = "seed",
) -> list[LadderFinding]:
    """For each attack, evaluator and measure, the levels of the ladder and the change at each step.

    Uses inversions that are finished on every rung; attacks without any are left out. margins: by evaluator.
    unit: the independent unit, in words.
    """
    part = experiment.ladder
    if part is None:
        return []
    own = [record for record in records if record.target in OWN and record.mitigation is None]
    stated = _stated(cells)
    findings = []
    for attack in _attacks(part, experiment):
        rungs = _rungs(part, attack, stated)
        judged = [record for record in own if record.attack == attack.called]
        for evaluator in dict.fromkeys(record.evaluator for record in judged):
            own_records = [record for record in judged if record.evaluator == evaluator]
            tables = {measure: _values(rungs, own_records, measure) for measure in MEASURES}
            same = _same_computation(rungs, list(tables.values()))
            for measure, values in tables.items():
                if values:
                    findings.append(
                        _finding(attack.called, evaluator, measure, rungs, values, margins.get(evaluator), unit, same)
                    )
    return findings


def ladder_rungs(experiment: Experiment, cells: Sequence[Cell]) -> list[tuple[str, list[str]]]:
    """The attacks on the ladder by their names in tables, each with the names of the planned rungs in order."""
    part = experiment.ladder
    if part is None:
        return []
    return [
        (attack.called, [rung.name for rung in _rungs(part, attack, _stated(cells))])
        for attack in _attacks(part, experiment)
    ]


def _attacks(part: LadderPart, experiment: Experiment) -> list[AttackPart]:
    return [attack for attack in experiment.attacks if part.attacks is None or attack.called in part.attacks]


def _stated(cells: Sequence[Cell]) -> bool:
    """Whether the network is already in Loihi's arithmetic, so that no rung is made."""
    return not any(cell.kind == "rung" for cell in cells)


def _rungs(part: LadderPart, attack: AttackPart, stated: bool) -> list[MeasuredRung]:
    """The rungs of deployment, then those that reveal less."""
    first = shown_first(part, attack)
    deployed = [
        MeasuredRung(level.rung, STEPS[level.rung], level.substrate, level.made, first or "gradient")
        for level in levels(part, stated)
    ]
    if first is None:
        return deployed
    later = REVEALS[REVEALS.index(first) + 1 :]
    return deployed + [
        MeasuredRung(f"reveals {shown}", f"shows {shown}", part.loihi, None, shown)
        for shown in later
        if shown in (attack.reveals or [])
    ]


def _values(rungs: list[MeasuredRung], records: list[Record], measure: Measure) -> dict[str, list[FloatArray]]:
    """By rung, one array per independent unit with the inversions that every rung has; empty if there are none."""
    tables = [
        {
            inversion_of(record): scores_of(record)[measure]
            for record in records
            if (record.substrate, record.rung, record.reveals) == (rung.substrate, rung.made, rung.reveals)
        }
        for rung in rungs
    ]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    if not shared:
        return {}
    units = dict.fromkeys(unit for unit, _, _ in shared)
    return {
        rung.name: [np.array([table[inversion] for inversion in shared if inversion[0] == unit]) for unit in units]
        for rung, table in zip(rungs, tables)
    }


def _same_computation(rungs: list[MeasuredRung], tables: list[dict[str, list[FloatArray]]]) -> list[str]:
    """Rungs on the substrate of the rung before, whose inversions have bit-identical scores by every measure."""
    return [
        rung.name
        for before, rung in pairwise(rungs)
        if rung.substrate == before.substrate
        and all(
            np.array_equal(one, other)
            for values in tables
            for one, other in zip(values.get(before.name, []), values.get(rung.name, []))
        )
    ]


def _finding(
    attack: str,
    evaluator: str,
    measure: Measure,
    rungs: list[MeasuredRung],
    values: dict[str, list[FloatArray]],
    margin: float | None,
    unit: str,
    same_computation: list[str],
) -> LadderFinding:
    attribution = attribute(values, margin, same_computation=same_computation)
    return LadderFinding(
        attack=attack,
        reveals=rungs[0].reveals,
        evaluator=evaluator,
        measure=measure,
        levels=[
            LadderLevel(
                rung=rung.name,
                substrate=rung.substrate,
                reveals=rung.reveals,
                step=rung.step,
                estimate=mean_of(attribution.levels[rung.name]),
            )
            for rung in rungs
        ],
        steps=[
            LadderStep(
                name=step.name, before=step.before, change=verdict_of(step.change), sentence=step.change.described(unit)
            )
            for step in attribution.steps
        ],
        total=verdict_of(attribution.total),
        sentence=attribution.total.described(unit),
    )
