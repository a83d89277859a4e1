"""The cells of an experiment: what there is to do, what each depends on, and the address of what comes of it.

A cell's definition is everything that its result depends on, and names the results it is made from by their addresses.
So a changed definition changes the address of its cell and of all that is made from it, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bl_neuro.experiment.definition.experiment import ControlPart, Experiment
from bl_neuro.experiment.definition.experiment_checks import target_plan
from bl_neuro.experiment.definition.material import Material
from bl_neuro.experiment.planning.cell_factory import CellFactory
from bl_neuro.experiment.planning.ladder_cells import ladder_cells
from bl_neuro.experiment.planning.mitigation_cells import mitigation_cells
from bl_neuro.experiment.planning.planned_cell import TRAINED, Cell
from bl_neuro.experiment.planning.replay_cells import replay_cells
from bl_neuro.experiment.planning.verification_cells import verification_cells


def plan_cells(experiment: Experiment, material: Material) -> list[Cell]:
    """Every cell of `experiment`, each once, none before what it needs."""
    factory = CellFactory(experiment, material)
    return list({cell.address: cell for cell in _all_cells(factory)}.values())


def _all_cells(factory: CellFactory) -> Iterator[Cell]:
    """All of them; some of them more than once."""
    yield from factory.evaluators
    for seed in factory.experiment.target_seeds:
        kind = "given" if factory.experiment.given else TRAINED
        target = factory.target(kind, seed, factory.plan)
        yield target
        for substrate in factory.experiment.substrates:
            yield from factory.accuracy(target, substrate)
            for part in factory.experiment.attacks:
                yield from factory.attacks(target, substrate, part, factory.restarts(part))
        yield from replay_cells(factory, target)
        yield from ladder_cells(factory, target)
        yield from mitigation_cells(factory, target)
        yield from verification_cells(factory, target)
    for control in factory.experiment.controls:
        yield from _control(factory, control)


def _control(factory: CellFactory, part: ControlPart) -> Iterator[Cell]:
    """Targets that learned no true label, and attacks on them."""
    plan = target_plan(factory.material.name, factory.experiment.steps, factory.experiment.target, part.target)
    if part.kind == "untrained":
        plan = replace(plan, proxy_epochs=0, spiking_epochs=0, validation=0.0)
    for seed in part.seeds or factory.experiment.target_seeds:
        target = factory.target(part.kind, seed, plan)
        yield target
        for substrate in part.substrates or factory.experiment.substrates:
            yield from factory.accuracy(target, substrate)
            for attack in factory.experiment.attacks:
                if part.attacks is None or attack.called in part.attacks:
                    yield from factory.attacks(target, substrate, attack, part.restarts or factory.restarts(attack))
