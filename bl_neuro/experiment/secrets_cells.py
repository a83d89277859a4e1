"""Plans the cells of planted secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bl_neuro.access import REVEALS, Reveals
from bl_neuro.arrays import IntArray
from bl_neuro.attacks import ATTACKS
from bl_neuro.attacks.ann_black_box import SHOWN
from bl_neuro.backends.registry import ANN, BACKENDS
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.cell_factory import CellFactory
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart
from bl_neuro.experiment.secrets_part import SecretAttackPart, SecretReplayPart, SecretsPart
from bl_neuro.experiment.secrets_plants import Plant
from bl_neuro.experiment.training_plans import DEFAULT, twin_plan
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training.plans import TargetDesign

SECRETS = "secrets"
"""The fact `target` of all cells of planted secrets."""


@dataclass(frozen=True)
class SecretDesign:
    """How a target with secrets is made: the plan of its training, the kind of secret, and the seed of the secrets."""

    plan: TargetDesign
    plant: Plant
    secret_seed: int

    def drawn(self, classes: int) -> tuple[IntArray, IntArray | None]:
        """The secret of every class, and how often it is planted; see `Plant.copies`."""
        secrets = self.plant.draw(classes, stream(self.secret_seed, "secrets"))
        return secrets, self.plant.copies(classes, stream(self.secret_seed, "copies of secrets"))

    def planted(self, data: Dataset) -> Dataset:
        """The training data with the secrets of the target."""
        return self.plant.planted(data, *self.drawn(data.classes))


@dataclass(frozen=True)
class SecretTwinDesign:
    """How the ANN twin of such a target is made: its plan, its hidden layers, and the design of the target."""

    plan: Any
    hidden: tuple[int, ...]
    target: SecretDesign


def secret_cells(factory: CellFactory) -> Iterator[Cell]:
    """All cells of `[secrets]`, each after the cells it needs; none without that table.

    Raises:
        ExperimentError: the secrets cannot be planted in this dataset, or a budget is too small for its attack.
    """
    part = factory.experiment.secrets
    if part is None:
        return
    _need_images(factory, part)
    _need_attacks(factory, part)
    reader = _reader(factory, part)
    yield reader
    for seed in factory.experiment.target_seeds:
        target = _target(factory, part, seed)
        yield target
        for substrate in factory.experiment.substrates:
            yield from _measured(factory, part, target, (target,), substrate, reader)
        for replay in part.replays:
            yield from _replays(factory, part, replay, target)
        if part.twins:
            twin = _twin(factory, target)
            yield twin
            yield from _measured(factory, part, twin, (twin, target), ANN, reader)


def _measured(
    factory: CellFactory, part: SecretsPart, network: Cell, needs: tuple[Cell, ...], substrate: str, reader: Cell
) -> Iterator[Cell]:
    """All measurements of a network. needs: the network, and last the target with its secrets."""
    yield _accuracy(factory, network, needs, substrate)
    yield from _informed(factory, part, network, needs, substrate)
    for attack in secret_attacks(part):
        yield from _attacked(factory, part, attack, network, needs[-1], substrate, reader)


def secret_attacks(part: SecretsPart) -> list[SecretAttackPart]:
    """The attacks of `[secrets]`, with `ann` on ANN twins if none of them is for ANNs."""
    stated = any(ATTACKS.find(attack.attack).access == "ann" for attack in part.attacks)
    return [*part.attacks, *([SecretAttackPart(attack="ann")] if part.twins and not stated else [])]


def _need_images(factory: CellFactory, part: SecretsPart) -> None:
    material = factory.material
    if "missing" in material.definition:  # to plan, not to run
        return
    if material.of_events:
        raise ExperimentError(f"secrets: expected a dataset of images, found the events of {material.name}")
    samples = len(material.split.target.labels)
    for problem in (
        part.plant.image_problem(material.shape),
        part.plant.samples_problem(samples, material.dataset_classes),
    ):
        if problem is not None:
            raise ExperimentError(f"secrets: {problem}")


def _need_attacks(factory: CellFactory, part: SecretsPart) -> None:
    """Raises ExperimentError if no attack can run on any substrate."""
    names = factory.experiment.substrates
    attacks = [_with_budget(factory, attack, None) for attack in part.attacks]
    if part.twins or any(factory.views(substrate, attack) for substrate in names for attack in attacks):
        return
    raise ExperimentError(
        f"secrets.attacks: expected an attack that runs on {', '.join(names)}, but none uses what they reveal; choose "
        "other outputs (`reveals`), attacks or substrates"
    )


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


def _twin(factory: CellFactory, target: Cell) -> Cell:
    """The ANN twin of `target`, trained on the same data."""
    plan, hidden = twin_plan(factory.experiment.twin), factory.plan.hidden
    same = {name: target.definition[name] for name in ("seed", "plant", "secret_seed")}
    trainer = {} if plan.trainer == DEFAULT else {"trainer": plan.trainer}
    made = {**same, "plan": asdict(plan), "hidden": list(hidden), **trainer}
    facts = {**target.facts, "substrate": ANN}
    return factory.cell("secret_twin", made, (), facts, SecretTwinDesign(plan, hidden, target.what))


def _run(factory: CellFactory, network: Cell, substrate: str) -> dict[str, Any]:
    return {
        "target": network.address,
        "substrate": substrate,
        "steps": factory.steps,
        **factory.place(substrate),
        **packages_of((BACKENDS, substrate)),
    }


def _accuracy(factory: CellFactory, network: Cell, needs: tuple[Cell, ...], substrate: str) -> Cell:
    facts = {**network.facts, "substrate": substrate}
    return factory.cell("secret_accuracy", _run(factory, network, substrate), needs, facts)


def _shown(factory: CellFactory, substrate: str, reveals: Sequence[Reveals]) -> list[Reveals]:
    """The outputs in `reveals` that a black box on this substrate, or of an ANN twin, can reveal."""
    return [view for view in reveals if view in SHOWN] if substrate == ANN else factory.shown(substrate, reveals)


def _informed(
    factory: CellFactory, part: SecretsPart, network: Cell, needs: tuple[Cell, ...], substrate: str
) -> Iterator[Cell]:
    """The informed attackers, for every output that a black-box attack uses, else for the most informative one."""
    asked: list[Reveals] = [view for attack in part.attacks for view in attack.reveals or []]
    shown = _shown(factory, substrate, REVEALS)
    for reveals in [view for view in shown if view in asked] or shown[:1]:
        for images in part.informed:
            made = {
                **_run(factory, network, substrate),
                "reveals": reveals,
                "images": images,
                "classes": factory.material.classes,
                "seed": derived_seed(network.facts["seed"], "informed attacker", images),
            }
            facts = {**network.facts, "substrate": substrate, "reveals": reveals, "images": images}
            yield factory.cell("secret_informed", made, needs, facts, part.plant)


def _attacked(
    factory: CellFactory,
    part: SecretsPart,
    attack: SecretAttackPart,
    network: Cell,
    target: Cell,
    substrate: str,
    reader: Cell,
) -> Iterator[Cell]:
    """The attacks on a network, and what the reader reads from their inversions. target: with the secrets."""
    for queries in _budgets(part, attack):
        budgeted = _with_budget(factory, attack, queries)
        views = _views_of_twin(budgeted) if substrate == ANN else factory.views(substrate, budgeted)
        for reveals in views:
            run = secret_attack(factory, network, substrate, budgeted, reveals, queries)
            yield run
            made = {"attack": run.address, "reader": reader.address}
            yield factory.cell("secret_reading", made, (run, reader, target), run.facts)


def _views_of_twin(attack: AttackPart) -> list[str]:
    """The outputs of an ANN twin that an attack uses; empty if the attack is only for spiking networks."""
    kind = ATTACKS.find(attack.attack)
    if kind.access == "ann":
        return ["gradient"]
    by_queries = kind.access == "black_box" and "twin" not in kind.needs
    return [view for view in attack.reveals or [] if view in SHOWN] if by_queries else []


def secret_attack(
    factory: CellFactory, target: Cell, substrate: str, attack: AttackPart, reveals: str, queries: int | None
) -> Cell:
    """The cell of one attack on a target with secrets. queries: per class; None for a white box.

    Raises:
        ExperimentError: so many queries are too few for the attack.
    """
    try:
        plain = factory.attack(target, substrate, attack, reveals, 0)
    except ExperimentError as error:
        if queries is None:
            raise
        reason = str(error).rpartition("budget: ")[2]
        raise ExperimentError(
            f"secrets.queries: expected enough queries per class for {attack.called}, found {queries}: {reason}"
        ) from error
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
