"""Plans the cells of planted secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bl_neuro.access import REVEALS, Reveals
from bl_neuro.attacks import ATTACKS
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.cell_factory import CellFactory
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart
from bl_neuro.experiment.secrets_part import SecretAttackPart, SecretReplayPart, SecretsPart
from bl_neuro.experiment.secrets_plants import Plant
from bl_neuro.seeding import derived_seed
from bl_neuro.training.plans import TargetDesign

SECRETS = "secrets"
"""The fact `target` of all cells of planted secrets."""


@dataclass(frozen=True)
class SecretDesign:
    """How a target with secrets is made: the plan of its training, the kind of secret, and the seed of the secrets."""

    plan: TargetDesign
    plant: Plant
    secret_seed: int


def secret_cells(factory: CellFactory) -> Iterator[Cell]:
    """All cells of `[secrets]`, each after the cells it needs; none without that table.

    Raises:
        ExperimentError: the secrets cannot be planted in this dataset, or a budget is too small for its attack.
    """
    part = factory.experiment.secrets
    if part is None:
        return
    _need_images(factory, part)
    reader = _reader(factory, part)
    yield reader
    for seed in factory.experiment.target_seeds:
        target = _target(factory, part, seed)
        yield target
        for substrate in factory.experiment.substrates:
            yield _accuracy(factory, target, substrate)
            yield from _informed(factory, part, target, substrate)
            for attack in part.attacks:
                yield from _attacked(factory, part, attack, target, substrate, reader)
        for replay in part.replays:
            yield from _replays(factory, part, replay, target)


def _need_images(factory: CellFactory, part: SecretsPart) -> None:
    material = factory.material
    if "missing" in material.definition:  # to plan, not to run
        return
    if material.of_events:
        raise ExperimentError(f"secrets: expected a dataset of images, found the events of {material.name}")
    problem = part.plant.image_problem(material.shape)
    if problem is not None:
        raise ExperimentError(f"secrets: {problem}")


def _reader(factory: CellFactory, part: SecretsPart) -> Cell:
    made = {"plant": part.plant.definition, "images": part.reader_images}
    return factory.cell("secret_reader", made, (), {"target": SECRETS}, part.plant)


def _target(factory: CellFactory, part: SecretsPart, seed: int) -> Cell:
    plain = factory.target(SECRETS, seed, factory.plan)
    plan: dict[str, Any] = {
        name: plain.definition[name] for name in ("plan", "seed", "trainer") if name in plain.definition
    }
    secret_seed = derived_seed(part.seed, "secrets", seed)
    made = {**plan, "plant": part.plant.definition, "secret_seed": secret_seed}
    return factory.cell("secret_target", made, (), plain.facts, SecretDesign(factory.plan, part.plant, secret_seed))


def _run(factory: CellFactory, target: Cell, substrate: str) -> dict[str, Any]:
    return {
        "target": target.address,
        "substrate": substrate,
        "steps": factory.steps,
        **factory.place(substrate),
        **packages_of((BACKENDS, substrate)),
    }


def _accuracy(factory: CellFactory, target: Cell, substrate: str) -> Cell:
    facts = {**target.facts, "substrate": substrate}
    return factory.cell("secret_accuracy", _run(factory, target, substrate), (target,), facts)


def _informed(factory: CellFactory, part: SecretsPart, target: Cell, substrate: str) -> Iterator[Cell]:
    """The informed attackers, for every output that a black-box attack uses, and the most informative one."""
    asked: list[Reveals] = [view for attack in part.attacks for view in attack.reveals or []]
    shown = factory.shown(substrate, REVEALS)
    for reveals in [view for view in shown if view in asked or (view == shown[0] and not asked)]:
        for images in part.informed:
            made = {
                **_run(factory, target, substrate),
                "reveals": reveals,
                "images": images,
                "classes": factory.material.classes,
                "seed": derived_seed(target.facts["seed"], "informed attacker", images),
            }
            facts = {**target.facts, "substrate": substrate, "reveals": reveals, "images": images}
            yield factory.cell("secret_informed", made, (target,), facts, part.plant)


def _attacked(
    factory: CellFactory, part: SecretsPart, attack: SecretAttackPart, target: Cell, substrate: str, reader: Cell
) -> Iterator[Cell]:
    for queries in _budgets(part, attack):
        budgeted = _with_budget(factory, attack, queries)
        for reveals in factory.views(substrate, budgeted):
            run = secret_attack(factory, target, substrate, budgeted, reveals, queries)
            yield run
            made = {"attack": run.address, "reader": reader.address}
            yield factory.cell("secret_reading", made, (run, reader, target), run.facts)


def secret_attack(
    factory: CellFactory, target: Cell, substrate: str, attack: AttackPart, reveals: str, queries: int | None
) -> Cell:
    """The cell of one attack on a target with secrets. queries: per class; None for a white box."""
    plain = factory.attack(target, substrate, attack, reveals, 0)
    facts = {**plain.facts, "queries": queries}
    return replace(plain, kind="secret_attack", definition={**plain.definition, "kind": "secret_attack"}, facts=facts)


def _budgets(part: SecretsPart, attack: SecretAttackPart) -> list[int | None]:
    asks = ATTACKS.find(attack.attack).access == "black_box"
    return [*part.queries] if asks else [None]


def _with_budget(factory: CellFactory, attack: SecretAttackPart, queries: int | None) -> AttackPart:
    """The attack with a budget of `queries` for each class, as a part of the experiment."""
    budget = None if queries is None else queries * len(factory.material.outputs)
    return AttackPart(**attack.model_dump(), budget=budget)


def _replays(factory: CellFactory, part: SecretsPart, replay: SecretReplayPart, target: Cell) -> Iterator[Cell]:
    """Repetitions of black-box attacks on another substrate; each needs the attack that it repeats."""
    if replay.seeds is not None and target.facts["seed"] not in replay.seeds:
        return
    shown = factory.shown(replay.substrate, REVEALS)
    for attack in part.attacks:
        if replay.attacks is not None and attack.called not in replay.attacks:
            continue
        for queries in _budgets(part, attack):
            if queries is None or (replay.queries is not None and queries not in replay.queries):
                continue
            budgeted = _with_budget(factory, attack, queries)
            for reveals in factory.views(replay.of, budgeted):
                if reveals in shown and (replay.reveals is None or reveals in replay.reveals):
                    first = secret_attack(factory, target, replay.of, budgeted, reveals, queries)
                    made: dict[str, Any] = {"attack": first.address, "substrate": replay.substrate}
                    made |= {**factory.place(replay.substrate), **packages_of((BACKENDS, replay.substrate))}
                    facts = {**first.facts, "substrate": replay.substrate, "of": replay.of}
                    yield factory.cell("replay", made, (target, first), facts, shown)
