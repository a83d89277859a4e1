"""Tests whether attacks on null controls score at chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bl_neuro.experiment.findings.conversion import mean_of
from bl_neuro.experiment.findings.estimates import ControlFinding
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.records import Record, hits_by_unit
from bl_neuro.leakage import null_verdicts


def control_findings(records: Sequence[Record], classes: Mapping[str, int]) -> list[ControlFinding]:
    """Tests the attack accuracy of each control against chance, per evaluator (Holm).

    classes: number of classes of each finished evaluator. Controls under others are left out.
    """
    findings = []
    controls = [record for record in records if record.target not in OWN and record.evaluator in classes]
    for evaluator in dict.fromkeys(record.evaluator for record in controls):
        groups: dict[str, list[Record]] = {}
        for record in controls:
            if record.evaluator == evaluator:
                name = repr((record.target, record.substrate, record.attack, record.reveals))
                groups.setdefault(name, []).append(record)
        judged = null_verdicts({name: hits_by_unit(group) for name, group in groups.items()}, classes[evaluator])
        for name, verdict in judged.items():
            first = groups[name][0]
            findings.append(
                ControlFinding(
                    kind=first.target,
                    substrate=first.substrate,
                    attack=first.attack,
                    reveals=first.reveals,
                    evaluator=evaluator,
                    estimate=mean_of(verdict.accuracy),
                    chance=verdict.chance,
                    p=verdict.p,
                    adjusted_p=verdict.adjusted_p,
                    above_chance=verdict.above_chance,
                    detectable=verdict.detectable,
                )
            )
    return findings
