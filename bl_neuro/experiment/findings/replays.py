"""Which substrate stands for which other: attacks that were run once more and came out the same, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.verdicts import Standin

FACTS = ("substrate", "of", "seed", "attack", "reveals", "restart")


def replay_findings(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What came of each replay that is done."""
    return [
        {**{name: cell.facts[name] for name in FACTS}, **measures[cell.address]}
        for cell in cells
        if cell.kind == "replay" and cell.address in measures
    ]


def standins(cells: Sequence[Cell], measures: Mapping[str, dict[str, Any]]) -> list[Standin]:
    """Substrates whose replays are all done and all identical."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.kind == "replay":
            groups.setdefault((cell.facts["substrate"], cell.facts["of"]), []).append(cell)
    return [
        Standin(*pair, tuple(group[0].what))
        for pair, group in groups.items()
        if all(measures.get(cell.address, {}).get("identical") for cell in group)
    ]
