"""Mitigations' cells: the attacks and the accuracy of targets that do something against inversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bl_neuro.attacks.by_name import ATTACKS
from bl_neuro.audit.mitigation_part import AnyMitigation, QueryCap, Reveal, WeightBits

if TYPE_CHECKING:
    from bl_neuro.audit.experiment import AttackPart
    from bl_neuro.audit.plan import Cell, Planner


def mitigation_cells(planner: Planner, target: Cell) -> Iterator[Cell]:
    """What each mitigation does to attacks on `target`, and to what it is good for."""
    for part in planner.experiment.mitigations:
        if part.seeds is not None and target.facts["seed"] not in part.seeds:
            continue
        deployed = target
        if isinstance(part, WeightBits):
            made = {"target": target.address, "bits": part.bits}
            deployed = planner.cell("coarse", made, (target,), {**target.facts, "mitigation": part.called})
            yield deployed
        for attack in planner.experiment.attacks:
            for reveals in views(part, attack, planner.shown(part.substrate, attack.reveals or [])):
                yield from _measured(planner, target, deployed, part, attack, reveals)


def views(part: AnyMitigation, attack: AttackPart, shown: list[str]) -> list[str]:
    """What boxes reveal to `attack` where the mitigation is measured, of what they can show."""
    white = ATTACKS[attack.attack].access == "white_box"
    if white or (part.attacks is not None and attack.called not in part.attacks):
        return []
    wanted = [each for each in shown if part.acts_on(each) and (part.reveals is None or each in part.reveals)]
    return [each for each in wanted if each != part.to] if isinstance(part, Reveal) else wanted


def _measured(
    planner: Planner, target: Cell, deployed: Cell, part: AnyMitigation, attack: AttackPart, reveals: str
) -> Iterator[Cell]:
    restarts = min(part.restarts or planner.restarts(attack), planner.restarts(attack))
    yield from planner.attacks(target, part.substrate, attack, restarts, [reveals])
    seen = part.to if isinstance(part, Reveal) else reveals
    own = part if part.in_box is not None or isinstance(part, QueryCap) else None
    yield from planner.attacks(deployed, part.substrate, attack, restarts, [seen], own)
    if not isinstance(part, QueryCap):  # which changes no answer
        yield planner.service(target, part.substrate, reveals)
        yield planner.service(deployed, part.substrate, seen, own)
