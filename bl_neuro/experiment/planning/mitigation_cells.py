"""Mitigations' cells: the attacks and the accuracy of targets that do something against inversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.experiment.definition.mitigation_part import AnyMitigation, QueryCap, Reveal, WeightBits

if TYPE_CHECKING:
    from bl_neuro.experiment.definition.experiment import AttackPart
    from bl_neuro.experiment.planning.cell_factory import CellFactory
    from bl_neuro.experiment.planning.planned_cell import Cell


def mitigation_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """What each mitigation does to attacks on `target`, and to what it is good for."""
    for part in factory.experiment.mitigations:
        if part.seeds is not None and target.facts["seed"] not in part.seeds:
            continue
        deployed = target
        if isinstance(part, WeightBits):
            made = {"target": target.address, "bits": part.bits}
            deployed = factory.cell("coarse", made, (target,), {**target.facts, "mitigation": part.called})
            yield deployed
        for attack in factory.experiment.attacks:
            for reveals in views(part, attack, factory.shown(part.substrate, attack.reveals or [])):
                yield from _measured(factory, target, deployed, part, attack, reveals)


def views(part: AnyMitigation, attack: AttackPart, shown: list[str]) -> list[str]:
    """What boxes reveal to `attack` where the mitigation is measured, of what they can show."""
    white = ATTACKS[attack.attack].access == "white_box"
    if white or (part.attacks is not None and attack.called not in part.attacks):
        return []
    wanted = [each for each in shown if part.acts_on(each) and (part.reveals is None or each in part.reveals)]
    return [each for each in wanted if each != part.to] if isinstance(part, Reveal) else wanted


def _measured(
    factory: CellFactory, target: Cell, deployed: Cell, part: AnyMitigation, attack: AttackPart, reveals: str
) -> Iterator[Cell]:
    restarts = min(part.restarts or factory.restarts(attack), factory.restarts(attack))
    yield from factory.attacks(target, part.substrate, attack, restarts, [reveals])
    seen = part.to if isinstance(part, Reveal) else reveals
    own = part if part.in_box is not None or isinstance(part, QueryCap) else None
    yield from factory.attacks(deployed, part.substrate, attack, restarts, [seen], own)
    if not isinstance(part, QueryCap):  # which changes no answer
        yield factory.service(target, part.substrate, reveals)
        yield factory.service(deployed, part.substrate, seen, own)
