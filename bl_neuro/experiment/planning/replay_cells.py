"""Replays: cells that run a black-box attack once more, on a substrate that promises the same, and compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bl_neuro.access import REVEALS
from bl_neuro.attacks.registry import ATTACKS

if TYPE_CHECKING:
    from bl_neuro.experiment.definition.experiment import AttackPart, ReplayPart
    from bl_neuro.experiment.planning.cell_factory import CellFactory
    from bl_neuro.experiment.planning.planned_cell import Cell


def replay_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The replays of attacks on `target`; each needs the attack that it repeats."""
    for part in factory.experiment.replays:
        if part.seeds is not None and target.facts["seed"] not in part.seeds:
            continue
        for attack in factory.experiment.attacks:
            if _wanted(part, attack):
                yield from _of(factory, target, part, attack)


def _of(factory: CellFactory, target: Cell, part: ReplayPart, attack: AttackPart) -> Iterator[Cell]:
    shown = factory.shown(part.substrate, REVEALS)
    for reveals in attack.reveals or []:
        if reveals not in shown or (part.reveals is not None and reveals not in part.reveals):
            continue
        for restart in range(min(part.restarts, factory.restarts(attack))):
            first = factory.attack(target, part.of, attack, reveals, restart)
            facts = {**first.facts, "substrate": part.substrate, "of": part.of}
            made = {"attack": first.address, "substrate": part.substrate}
            yield first
            yield factory.cell("replay", made, (target, first), facts, shown)


def _wanted(part: ReplayPart, attack: AttackPart) -> bool:
    if ATTACKS[attack.attack].access == "white_box" or (part.attacks and attack.called not in part.attacks):
        return False
    return attack.substrates is None or part.of in attack.substrates
