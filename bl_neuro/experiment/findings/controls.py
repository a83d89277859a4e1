"""Do attacks on targets that learned no true label come out at chance? From an audit's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bl_neuro.experiment.findings.records import Record, hits_by_seed
from bl_neuro.leakage import null_verdicts


def control_findings(records: Sequence[Record], classes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Attack accuracy of each control against chance, those of one evaluator judged together (Holm).

    classes: by evaluator, how many it tells apart.
    """
    found = []
    controls = [each for each in records if each.target not in ("trained", "given")]
    for evaluator in dict.fromkeys(each.evaluator for each in controls):
        groups: dict[str, list[Record]] = {}
        for each in controls:
            if each.evaluator == evaluator:
                groups.setdefault(repr((each.target, each.substrate, each.attack, each.reveals)), []).append(each)
        judged = null_verdicts({name: hits_by_seed(own) for name, own in groups.items()}, classes[evaluator])
        for name, verdict in judged.items():
            one = groups[name][0]
            facts = {"kind": one.target, "substrate": one.substrate, "attack": one.attack, "reveals": one.reveals}
            said = asdict(verdict)
            found.append({**facts, "evaluator": evaluator, "estimate": said.pop("accuracy"), **said})
    return found
