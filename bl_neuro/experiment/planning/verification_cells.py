"""Verification: a target run on several substrates and compared layer by layer, on what attacks found among others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.backends import find_backend

if TYPE_CHECKING:
    from bl_neuro.experiment.planning.cell_factory import CellFactory
    from bl_neuro.experiment.planning.planned_cell import Cell


def verification_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The verification of the first target; it needs the first run of each attack on the first of its substrates."""
    substrates = factory.experiment.verify
    if substrates is None or target.facts["seed"] != factory.experiment.target_seeds[0]:
        return
    first = substrates[0]
    attacks = []
    if first in factory.experiment.substrates:
        for part in factory.experiment.attacks:
            white = ATTACKS[part.attack].access == "white_box"
            if (white and not find_backend(first).differentiable) or (part.substrates and first not in part.substrates):
                continue
            for reveals in ["gradient"] if white else factory.shown(first, part.reveals or []):
                attacks.append(factory.attack(target, first, part, reveals, 0))
    made = {"target": target.address, "attacks": [each.address for each in attacks], "substrates": substrates}
    facts = {**target.facts, "substrate": ", ".join(substrates)}
    yield factory.cell("verification", {**made, "steps": factory.steps}, (target, *attacks), facts)
