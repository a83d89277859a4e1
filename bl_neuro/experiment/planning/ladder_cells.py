"""The attribution ladder's cells: attacks on one network, deployed a step at a time.

The first rung is the target itself on the substrate of real numbers, the last one on the substrate of Loihi's: both
are cells of the audit anyway. Only what is between them is made for the ladder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from bl_neuro.access import REVEALS
from bl_neuro.deploy.ladder import RUNGS, RungName

if TYPE_CHECKING:
    from bl_neuro.experiment.definition.experiment import AttackPart, LadderPart
    from bl_neuro.experiment.planning.cell_factory import CellFactory
    from bl_neuro.experiment.planning.planned_cell import Cell


class Level(NamedTuple):
    """Where a rung is run, and the name of the network that is made for it, None where it is the target itself."""

    rung: RungName
    substrate: str
    made: str | None


def levels(part: LadderPart, stated: bool) -> list[Level]:
    """The rungs of deployment; of a network that is `stated` in Loihi's arithmetic, the last two."""
    if stated:
        return [Level("decays", part.real, None), Level("state", part.loihi, None)]
    float_, state = Level("float", part.real, None), Level("state", part.loihi, None)
    ends: dict[RungName, Level] = {"float": float_, "state": state}
    return [ends.get(name, Level(name, part.real, name)) for name in RUNGS]


def shown_first(part: LadderPart, attack: AttackPart) -> str | None:
    """What a black box shows on the rungs of deployment; None for an attack that takes the gradients."""
    return part.reveals or next((each for each in REVEALS if each in (attack.reveals or [])), None)


def ladder_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The cells of the ladder of `target` that no other part of the audit has."""
    part, network = factory.experiment.ladder, factory.material.network
    if part is None or (part.seeds is not None and target.facts["seed"] not in part.seeds):
        return
    for level in levels(part, network is not None and network.arithmetic == "loihi"):
        if level.made is None:
            continue
        made = {"target": target.address, "rung": level.made}
        rung = factory.cell("rung", made, (target,), {**target.facts, "rung": level.made})
        yield rung
        yield from factory.accuracy(rung, level.substrate)
        for attack in factory.experiment.attacks:
            if part.attacks is None or attack.called in part.attacks:
                first = shown_first(part, attack)
                restarts = min(part.restarts or factory.restarts(attack), factory.restarts(attack))
                only = None if first is None else [first]
                yield from factory.attacks(rung, level.substrate, attack, restarts, only)
