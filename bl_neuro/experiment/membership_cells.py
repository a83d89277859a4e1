"""Plans the cells of `[membership]`: networks, their answers about the pool, and the attacks on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bl_neuro.backends.registry import ANN, BACKENDS
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.cell_factory import CellFactory
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.membership_part import AskPart, MemberReplayPart, MembershipPart
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.training_plans import target_plan, twin_plan
from bl_neuro.reveals import REVEALS, Reveals
from bl_neuro.seeding import derived_seed

OF_TWINS: tuple[Reveals, ...] = ("scores", "label")
"""The outputs of ANN twins that are attacked."""
VERSION = 5
"""Of the attacks and their intervals. A change makes the stored results of attacks invalid, but not the answers."""
MEMBER, WRONG = "member", "wrong_shadow"
"""The `target` of networks whose settings are those of the targets, and of those with the settings of `shadows`."""


@dataclass(frozen=True)
class Deployment:
    """A substrate, and a mitigation or None."""

    substrate: str
    part: MitigationPart | None = None

    def shows(self, reveals: Reveals) -> bool:
        """Whether membership is measured with this output."""
        if self.part is None:
            return True
        return self.part.acts_on(reveals) and (self.part.reveals is None or reveals in self.part.reveals)


def deployments(experiment: Experiment) -> list[Deployment]:
    """The deployments of all networks: every substrate, then every mitigation."""
    part = needed(experiment)
    plain = [Deployment(substrate) for substrate in part.substrates or experiment.substrates]
    return [*plain, *(Deployment(mitigated.substrate, mitigated) for mitigated in part.mitigations)]


def needed(experiment: Experiment) -> MembershipPart:
    """The `[membership]` table, which must be there."""
    if experiment.membership is None:
        raise ValueError("this experiment has no [membership]")
    return experiment.membership


def membership_cells(factory: CellFactory) -> Iterator[Cell]:
    """All cells of `[membership]`; none without the table."""
    part = factory.experiment.membership
    if part is None:
        return
    networks = [_network(factory, part, MEMBER, number) for number in range(part.networks)]
    wrong = [] if part.shadows is None else [_network(factory, part, WRONG, i) for i in range(part.wrong_shadows)]
    yield from networks
    yield from wrong
    for deployment in deployments(factory.experiment):
        for ask in part.asked:
            first = ask == part.asked[0]
            if not first and deployment.part is not None:
                continue
            if ask.substrates is not None and deployment.substrate not in ask.substrates:
                continue
            others = wrong if first and deployment.part is None else []
            yield from _attacked(factory, part, deployment, ask, networks, others)
    for replay in part.replays:
        yield from _replays(factory, part, replay, networks)
    if part.twins:
        yield from _twins(factory, part, networks)


def _network(factory: CellFactory, part: MembershipPart, kind: str, number: int) -> Cell:
    """The cell of one network, trained on its own half of the pool."""
    settings = {} if kind == MEMBER or part.shadows is None else part.shadows
    plan = target_plan(factory.material.name, factory.experiment.steps, factory.experiment.target, settings)
    made = {
        "pool": part.pool,
        "pool_seed": part.pool_seed,
        "plan": plan.facts(),
        "trainer": plan.trainer,
        "seed": derived_seed(number, f"membership {kind}"),
        "half": derived_seed(number, f"membership half {kind}"),
    }
    return factory.cell("member", made, (), {"target": kind, "seed": number}, plan)


def _attacked(
    factory: CellFactory,
    part: MembershipPart,
    deployment: Deployment,
    ask: AskPart,
    networks: list[Cell],
    wrong: list[Cell],
) -> Iterator[Cell]:
    """The answers of all networks under one deployment, and for every output the cell of the attacks that use it."""
    answers = []
    for network in [*networks, *wrong]:
        deployed = network
        if deployment.part is not None and deployment.part.mitigation.changes("network"):
            deployed = factory.changed(network, deployment.part.mitigation)
            yield deployed
        answers.append(_answers(factory, part, network, deployed, deployment, ask))
        yield answers[-1]
    for reveals in _shown(factory, part, deployment, ask):
        yield _attacks(factory, part, answers, len(networks), reveals, _facts(deployment, ask))


def _shown(factory: CellFactory, part: MembershipPart, deployment: Deployment, ask: AskPart) -> list[Reveals]:
    """The outputs that are attacked under one deployment."""
    shown = factory.shown(deployment.substrate, ask.reveals or part.reveals)
    return [reveals for reveals in shown if deployment.shows(reveals)]


def _attacks(
    factory: CellFactory, part: MembershipPart, answers: list[Cell], targets: int, reveals: str, facts: dict[str, Any]
) -> Cell:
    """The cell of all attacks through one output."""
    made: dict[str, Any] = {
        "answers": [cell.address for cell in answers],
        "reveals": reveals,
        "targets": targets,
        "attacks": list(part.attacks),
        "version": VERSION,
    }
    return factory.cell("membership", made, tuple(answers), {"target": MEMBER, **facts, "reveals": reveals})


def _replays(
    factory: CellFactory, part: MembershipPart, replay: MemberReplayPart, networks: list[Cell]
) -> Iterator[Cell]:
    """Queries that are repeated on another substrate; each cell needs the answers that it is compared with."""
    of, ask = Deployment(replay.of), part.asked[0]
    asked = [reveals for reveals in _shown(factory, part, of, ask) if reveals in (replay.reveals or REVEALS)]
    for network in networks:
        if network.facts["seed"] not in replay.networks:
            continue
        answers = _answers(factory, part, network, network, of, ask)
        made: dict[str, Any] = {
            "answers": answers.address,
            "substrate": replay.substrate,
            "reveals": factory.shown(replay.substrate, asked),
            "samples": replay.samples,
            "seed": derived_seed(network.facts["seed"], "membership replay"),
            **factory.place(replay.substrate),
            **packages_of((BACKENDS, replay.substrate)),
        }
        facts = {**network.facts, "substrate": replay.substrate, "of": replay.of, "ask": ask.called}
        yield factory.cell("member_replay", made, (network, answers), facts)


def _twins(factory: CellFactory, part: MembershipPart, networks: list[Cell]) -> Iterator[Cell]:
    """The ANN twins of all networks, each trained on the half of its network, and the attacks on them."""
    plan, hidden = twin_plan(factory.experiment.twin), factory.plan.hidden
    twins = []
    for network in networks:
        same = {name: network.definition[name] for name in ("pool", "pool_seed", "half", "seed")}
        made = {**same, "plan": asdict(plan), "trainer": plan.trainer, "hidden": list(hidden)}
        facts = {**network.facts, "substrate": ANN}
        twins.append(factory.cell("member_twin", made, (), facts, (plan, hidden)))
        yield twins[-1]
    asked = {"substrate": ANN, "ask": part.asked[0].called}
    shown = [view for view in OF_TWINS if view in part.reveals]
    answers = []
    for twin in twins if shown else []:
        same = {name: twin.definition[name] for name in ("pool", "pool_seed", "half")}
        made = {
            "target": twin.address,
            **same,
            "substrate": ANN,
            "reveals": shown,
            "ask": AskPart(count=1).definition,
        }
        answers.append(factory.cell("answers", made, (twin,), {**twin.facts, **asked}))
        yield answers[-1]
    for reveals in shown:
        yield _attacks(factory, part, answers, len(twins), reveals, asked)


def _answers(
    factory: CellFactory, part: MembershipPart, network: Cell, deployed: Cell, deployment: Deployment, ask: AskPart
) -> Cell:
    """The cell of the answers of one network through all outputs, from one simulation."""
    mitigation = None if deployment.part is None else deployment.part.mitigation
    in_box = mitigation if mitigation is not None and mitigation.changes("inputs", "output", "reveals") else None
    made: dict[str, Any] = {
        "target": deployed.address,
        "pool": network.definition["pool"],
        "pool_seed": network.definition["pool_seed"],
        "half": network.definition["half"],
        "substrate": deployment.substrate,
        "reveals": _shown(factory, part, deployment, ask),
        "ask": ask.definition,
        "mitigation": None if in_box is None else in_box.definition,
        "steps": factory.steps,
        "encoder": factory.material.encoder,
        # The same asks for every network, so that the target and the shadow networks get the same inputs.
        "seed": derived_seed(0, "membership asks"),
        "box_seed": derived_seed(network.facts["seed"], "membership box"),
        **factory.place(deployment.substrate),
        **packages_of((BACKENDS, deployment.substrate), mitigation=mitigation),
    }
    return factory.cell("answers", made, (deployed,), {**network.facts, **_facts(deployment, ask)})


def _facts(deployment: Deployment, ask: AskPart) -> dict[str, Any]:
    facts: dict[str, Any] = {"substrate": deployment.substrate, "ask": ask.called}
    if deployment.part is not None:
        facts["mitigation"] = deployment.part.mitigation.label
    return facts
