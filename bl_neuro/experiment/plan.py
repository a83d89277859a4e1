"""Plans the cells of an experiment: their dependencies and the addresses of their results.

The definition of a cell contains everything that its result depends on, and refers to the results it uses by their
addresses. A changed definition therefore changes the address of its cell and of all cells that depend on it, and no
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from bl_neuro.access import REVEALS
from bl_neuro.attacks import ATTACKS
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.deploy.ladder import RUNGS, RungName
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.baseline_cells import picture_cells, prior_cells
from bl_neuro.experiment.cell_factory import CellFactory
from bl_neuro.experiment.cells import TRAINED, Cell
from bl_neuro.experiment.definition import ControlPart, Experiment
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.membership_cells import membership_cells
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.secrets_cells import secret_cells
from bl_neuro.experiment.training_plans import target_plan
from bl_neuro.mitigations.base import ANSWER_HOOKS
from bl_neuro.training.trainers import untrained

if TYPE_CHECKING:
    from bl_neuro.access import Reveals
    from bl_neuro.experiment.definition import AttackPart, LadderPart, ReplayPart


def plan_cells(experiment: Experiment, material: Material) -> list[Cell]:
    """All distinct cells of `experiment`, each after the cells it needs."""
    factory = CellFactory(experiment, material)
    return list({cell.address: cell for cell in _all_cells(factory)}.values())


def _all_cells(factory: CellFactory) -> Iterator[Cell]:
    """All cells, possibly with duplicates."""
    yield from secret_cells(factory)
    yield from membership_cells(factory)
    if not factory.experiment.attacks:
        return
    yield from picture_cells(factory)
    for seed in factory.experiment.target_seeds:
        kind = "given" if factory.experiment.given else TRAINED
        yield from factory.evaluators(seed)
        target = factory.target(kind, seed, factory.plan)
        yield target
        for substrate in factory.experiment.substrates:
            yield from factory.accuracy(target, substrate)
            for part in factory.experiment.attacks:
                yield from factory.attacks(target, substrate, part, factory.restarts(part))
        yield from twin_cells(factory, target)
        yield from replay_cells(factory, target)
        yield from ladder_cells(factory, target)
        yield from mitigation_cells(factory, target)
        yield from verification_cells(factory, target)
    for control in factory.experiment.controls:
        yield from _control(factory, control)
    yield from prior_cells(factory)


def twin_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The ANN twin of `target` and attacks on it, if there are attacks on networks that do not spike."""
    attacks = [part for part in factory.experiment.attacks if ATTACKS.find(part.attack).access == "ann"]
    if not attacks:
        return
    twin = factory.twin(target)
    yield twin
    yield factory.twin_accuracy(twin)
    for part in attacks:
        yield from factory.twin_attacks(twin, part)


def _control(factory: CellFactory, part: ControlPart) -> Iterator[Cell]:
    """A null control and the attacks on it."""
    plan = target_plan(factory.material.name, factory.experiment.steps, factory.experiment.target, part.target)
    if part.kind == "untrained":
        plan = untrained(plan)
    for seed in part.seeds or factory.experiment.target_seeds:
        yield from factory.evaluators(seed)
        target = factory.target(part.kind, seed, plan)
        yield target
        for substrate in part.substrates or factory.experiment.substrates:
            yield from factory.accuracy(target, substrate)
            for attack in factory.experiment.attacks:
                if part.attacks is None or attack.called in part.attacks:
                    restarts = part.restarts or factory.restarts(attack)
                    yield from factory.attacks(target, substrate, attack, restarts, part.reveals)


class Level(NamedTuple):
    """A rung of deployment: its substrate, and the name of its network, None for the target itself."""

    rung: RungName
    substrate: str
    made: str | None


def levels(part: LadderPart, stated: bool) -> list[Level]:
    """The rungs of deployment; only the last two if the network is already in Loihi's arithmetic (`stated`)."""
    if stated:
        return [Level("decays", part.real, None), Level("state", part.loihi, None)]
    float_, state = Level("float", part.real, None), Level("state", part.loihi, None)
    ends: dict[RungName, Level] = {"float": float_, "state": state}
    return [ends.get(name, Level(name, part.real, name)) for name in RUNGS]


def shown_first(part: LadderPart, attack: AttackPart) -> str | None:
    """The output that a black box reveals on the rungs of deployment; None for attacks with gradients."""
    return part.reveals or next((view for view in REVEALS if view in (attack.reveals or [])), None)


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


def mitigation_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The cells that measure attacks on `target` and its accuracy under each mitigation."""
    for part in factory.experiment.mitigations:
        if part.seeds is not None and target.facts["seed"] not in part.seeds:
            continue
        deployed = target
        if part.mitigation.changes("network"):
            deployed = factory.changed(target, part.mitigation)
            yield deployed
        for attack in factory.experiment.attacks:
            for reveals in views(part, attack, factory.shown(part.substrate, attack.reveals or [])):
                yield from _measured(factory, target, deployed, part, attack, reveals)


def views(part: MitigationPart, attack: AttackPart, shown: list[Reveals]) -> list[Reveals]:
    """The outputs that `attack` uses where the mitigation is measured, among those the boxes can reveal."""
    asks = ATTACKS.find(attack.attack).access == "black_box"
    if not asks or (part.attacks is not None and attack.called not in part.attacks):
        return []
    return [view for view in shown if part.acts_on(view) and (part.reveals is None or view in part.reveals)]


def _measured(
    factory: CellFactory, target: Cell, deployed: Cell, part: MitigationPart, attack: AttackPart, reveals: Reveals
) -> Iterator[Cell]:
    mitigation = part.mitigation
    restarts = min(part.restarts or factory.restarts(attack), factory.restarts(attack))
    yield from factory.attacks(target, part.substrate, attack, restarts, [reveals])
    shown = mitigation.reveals(reveals)
    in_box = mitigation if mitigation.changes("inputs", "output", "budget") else None
    yield from factory.attacks(deployed, part.substrate, attack, restarts, [shown], in_box)
    if mitigation.changes(*ANSWER_HOOKS):
        yield factory.service(target, part.substrate, reveals)
        yield factory.service(deployed, part.substrate, shown, in_box)


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
            made = {"attack": first.address, "substrate": part.substrate, **factory.place(part.substrate)}
            made |= packages_of((BACKENDS, part.substrate))
            yield first
            yield factory.cell("replay", made, (target, first), facts, shown)


def _wanted(part: ReplayPart, attack: AttackPart) -> bool:
    if ATTACKS.find(attack.attack).access != "black_box" or (part.attacks and attack.called not in part.attacks):
        return False
    return attack.substrates is None or part.of in attack.substrates


def verification_cells(factory: CellFactory, target: Cell) -> Iterator[Cell]:
    """The verification of the first target; needs the first run of each attack on its first substrate."""
    substrates = factory.experiment.verify
    if substrates is None or target.facts["seed"] != factory.experiment.target_seeds[0]:
        return
    first = substrates[0]
    attacks = []
    if first in factory.experiment.substrates:
        for part in factory.experiment.attacks:
            for reveals in factory.views(first, part):
                attacks.append(factory.attack(target, first, part, reveals, 0))
    made = {"target": target.address, "attacks": [attack.address for attack in attacks], "substrates": substrates}
    made |= packages_of(*((BACKENDS, name) for name in substrates))
    facts = {**target.facts, "substrate": ", ".join(substrates)}
    yield factory.cell("verification", {**made, "steps": factory.steps}, (target, *attacks), facts)
