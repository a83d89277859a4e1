"""Finds substrates whose results apply to another substrate, because replays on it are bit-identical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import ReplayFinding, Verification

StandIns = dict[tuple[str, str], list[str]]
"""By substrate and output: the substrates with bit-identical results."""


def replay_findings(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> list[ReplayFinding]:
    """The result of each finished replay."""
    return [
        ReplayFinding(
            substrate=cell.facts["substrate"],
            of=cell.facts["of"],
            seed=cell.facts["seed"],
            attack=cell.facts["attack"],
            reveals=cell.facts["reveals"],
            restart=cell.facts["restart"],
            queries=measures[cell.address]["queries"],
            identical=measures[cell.address]["identical"],
            differs=measures[cell.address]["differs"],
        )
        for cell in cells
        if cell.kind == "replay" and cell.address in measures
    ]


def verifications(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> list[Verification]:
    """The finished layer-by-layer comparisons."""
    return [
        Verification.model_validate(
            {"target": cell.facts["target"], "seed": cell.facts["seed"], **measures[cell.address]}
        )
        for cell in cells
        if cell.kind == "verification" and cell.address in measures
    ]


def identical_replays(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> list[Cell]:
    """One replay for each pair of substrates whose replays are all finished and identical."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.kind == "replay":
            groups.setdefault((cell.facts["substrate"], cell.facts["of"]), []).append(cell)
    return [
        group[0] for group in groups.values() if all(measures.get(cell.address, {}).get("identical") for cell in group)
    ]


def stand_ins(replays: Sequence[Cell]) -> StandIns:
    """By attack and output, the substrates whose results apply to the substrates of `identical_replays`."""
    table: StandIns = {}
    for cell in replays:
        for reveals in cell.what:
            table.setdefault((cell.facts["of"], reveals), []).append(cell.facts["substrate"])
    return table
