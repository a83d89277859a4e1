"""The cells of an experiment: what there is to do, what each depends on, and the address of what comes of it.

A cell's definition is everything that its result depends on, and names the results it is made from by their addresses.
So a changed definition changes the address of its cell and of all that is made from it, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bl_neuro.attacks.by_name import ATTACKS
from bl_neuro.audit.address import content_address
from bl_neuro.audit.attack_choice import make_attack, planned_budget, seeing_images, within
from bl_neuro.audit.experiment import AttackPart, ControlPart, EvaluatorPart, Experiment
from bl_neuro.audit.experiment_checks import target_plan
from bl_neuro.audit.ladder_cells import ladder_cells
from bl_neuro.audit.material import Material
from bl_neuro.audit.mitigation_cells import mitigation_cells
from bl_neuro.audit.mitigation_part import AnyMitigation, QueryCap
from bl_neuro.audit.replay_cells import replay_cells
from bl_neuro.audit.verification_cells import verification_cells
from bl_neuro.backends import find_backend
from bl_neuro.seeding import derived_seed
from bl_neuro.training.plans import TargetPlan

FORMAT = 2
"""Version of definitions and results: another one makes all of them anew."""
THREADS = 1
"""Threads of every cell, whatever the machine: sums of floats depend on how threads share them out."""
TRAINED = "trained"


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    kind: "target", "evaluator", "rung" (a target deployed some steps), "coarse" (one with coarser weights), "accuracy",
    "service" (accuracy through a box), "attack", "judgement", "replay" (an attack once more, elsewhere), or
    "verification" (one target on several substrates, layer by layer).
    definition: see the module. needs: cells whose results it is made from. facts: what tables sort it by; among them
    target ("trained", "untrained", "shuffled_labels", "given"), seed, substrate, attack, reveals, restart, evaluator,
    rung, mitigation. what: the definition as an object: TargetPlan, EvaluatorPart, or Attack.
    """

    kind: str
    definition: dict[str, Any]
    needs: tuple[Cell, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    what: Any = None

    @cached_property
    def address(self) -> str:
        """SHA-256 of the definition."""
        return content_address(self.definition)

    @property
    def plain(self) -> bool:
        """Whether it is of a network as it is deployed: on no rung before that, behind no mitigation."""
        return "rung" not in self.facts and "mitigation" not in self.facts

    @property
    def said(self) -> str:
        """What it is, in a line."""
        return " ".join([self.kind, *(f"{name} {value}" for name, value in self.facts.items() if value is not None)])


def plan_cells(experiment: Experiment, material: Material) -> list[Cell]:
    """Every cell of `experiment`, each once, none before what it needs."""
    planner = Planner(experiment, material)
    return list({cell.address: cell for cell in planner.cells()}.values())


class Planner:
    """Makes the cells of one experiment."""

    def __init__(self, experiment: Experiment, material: Material) -> None:
        self.experiment, self.material = experiment, material
        self.plan = target_plan(material.name, experiment.steps, experiment.target)
        self.steps = experiment.steps or self.plan.steps
        self.evaluators = [self.evaluator(part) for part in experiment.evaluators]

    def cells(self) -> Iterator[Cell]:
        """All of them; some of them more than once."""
        yield from self.evaluators
        for seed in self.experiment.target_seeds:
            kind = TRAINED if self.material.network is None else "given"
            target = self.target(kind, seed, self.plan)
            yield target
            for substrate in self.experiment.substrates:
                yield from self.accuracy(target, substrate)
                for part in self.experiment.attacks:
                    yield from self.attacks(target, substrate, part, self.restarts(part))
            yield from replay_cells(self, target)
            yield from ladder_cells(self, target)
            yield from mitigation_cells(self, target)
            yield from verification_cells(self, target)
        for control in self.experiment.controls:
            yield from self.control(control)

    def restarts(self, part: AttackPart) -> int:
        """How often an attack is run on one target, substrate and kind of box."""
        return part.restarts or self.experiment.restarts

    def control(self, part: ControlPart) -> Iterator[Cell]:
        """Targets that learned no true label, and attacks on them."""
        plan = target_plan(self.material.name, self.experiment.steps, self.experiment.target, part.target)
        if part.kind == "untrained":
            plan = replace(plan, proxy_epochs=0, spiking_epochs=0, validation=0.0)
        for seed in part.seeds or self.experiment.target_seeds:
            target = self.target(part.kind, seed, plan)
            yield target
            for substrate in part.substrates or self.experiment.substrates:
                yield from self.accuracy(target, substrate)
                for attack in self.experiment.attacks:
                    if part.attacks is None or attack.called in part.attacks:
                        yield from self.attacks(target, substrate, attack, part.restarts or self.restarts(attack))

    def evaluator(self, part: EvaluatorPart) -> Cell:
        """One judge."""
        made = {"evaluator": part.kind, "seed": part.seed, "epochs": part.epochs, "steps": self.steps}
        return self.cell("evaluator", made, (), {"evaluator": part.kind}, part)

    def target(self, kind: str, seed: int, plan: TargetPlan) -> Cell:
        """One network."""
        made: dict[str, Any]
        if self.material.network is not None:
            made = {"fingerprint": self.material.network.fingerprint}
        else:
            made = {"plan": plan.facts(), "seed": seed, "learned": kind}
        return self.cell("target", made, (), {"target": kind, "seed": seed}, plan)

    def accuracy(self, target: Cell, substrate: str) -> Iterator[Cell]:
        """How well a network works on a substrate, where that shows a label."""
        if self.shown(substrate, ["label"]):
            yield self.cell("accuracy", self._tested(target, substrate), (target,), self._on(target, substrate))

    def service(self, target: Cell, substrate: str, reveals: str, mitigation: AnyMitigation | None = None) -> Cell:
        """How often what a box reveals names the right class."""
        made = {
            **self._tested(target, substrate),
            "reveals": reveals,
            "mitigation": None if mitigation is None else mitigation.definition,
            "seed": derived_seed(target.facts["seed"], "audit service"),
        }
        facts = {**self._on(target, substrate), "reveals": reveals}
        if mitigation is not None:
            facts["mitigation"] = mitigation.called
        return self.cell("service", made, (target,), facts)

    def _tested(self, target: Cell, substrate: str) -> dict[str, Any]:
        return {
            "target": target.address,
            "substrate": substrate,
            "steps": self.steps,
            "encoder": self.material.encoder,
            "class_map": self.material.class_map,
        }

    @staticmethod
    def _on(target: Cell, substrate: str) -> dict[str, Any]:
        return {**target.facts, "substrate": substrate}

    def attacks(
        self,
        target: Cell,
        substrate: str,
        part: AttackPart,
        restarts: int,
        only: Sequence[str] | None = None,
        mitigation: AnyMitigation | None = None,
    ) -> Iterator[Cell]:
        """Attacks on a network on a substrate, and what judges say; of what is revealed `only` that, or all."""
        if part.substrates is not None and substrate not in part.substrates:
            return
        white = ATTACKS[part.attack].access == "white_box"
        if white and not find_backend(substrate).differentiable:
            return
        for reveals in ["gradient"] if white else self.shown(substrate, part.reveals or []):
            if only is not None and reveals not in only:
                continue
            for restart in range(restarts):
                attack = self.attack(target, substrate, part, reveals, restart, mitigation)
                yield attack
                for evaluator in self.evaluators:
                    yield self.judgement(attack, evaluator)

    def shown(self, substrate: str, reveals: Sequence[str]) -> list[str]:
        """Those of `reveals` that a box on this substrate can show."""
        network = self.material.network
        by_membrane = network is not None and network.readout == "membrane"
        hidden = {"membrane", "scores", *(["label"] if by_membrane else [])}
        return [each for each in reveals if find_backend(substrate).reveals_membrane or each not in hidden]

    def attack(
        self,
        target: Cell,
        substrate: str,
        part: AttackPart,
        reveals: str,
        restart: int,
        mitigation: AnyMitigation | None = None,
    ) -> Cell:
        """One attack: an inversion of each class."""
        attack = make_attack(part.attack, part.preset, part.settings)
        if self.material.network is not None:
            attack = seeing_images(attack, self.material.network.input_shape, self.material.shape)
        outputs = self.material.outputs
        budget = part.budget or planned_budget(attack, len(outputs))
        if isinstance(mitigation, QueryCap):
            attack, budget = within(attack, mitigation.queries, len(outputs)), mitigation.queries
        made = {
            "target": target.address,
            "substrate": substrate,
            "attack": part.attack,
            "preset": part.preset,
            "given": part.settings,
            "settings": attack.settings(),  # what the library makes of those given
            "reveals": reveals,
            "budget": budget,
            "twin": part.twin if part.attack == "transfer" else None,
            "steps": self.steps,
            "outputs": outputs,
            "classes": self.material.classes,
            # Not of the substrate, nor of what is revealed: what differs between two such cells is that alone.
            "seed": derived_seed(target.facts["seed"], "audit attack", restart),
        }
        about: dict[str, Any] = {"substrate": substrate, "attack": part.called, "reveals": reveals, "restart": restart}
        if mitigation is not None:
            made["mitigation"], about["mitigation"] = mitigation.definition, mitigation.called
        return self.cell("attack", made, (target,), {**target.facts, **about}, attack)

    def judgement(self, attack: Cell, evaluator: Cell) -> Cell:
        """What one judge says of an attack's inversions."""
        made = {"attack": attack.address, "evaluator": evaluator.address}
        return self.cell("judgement", made, (attack, evaluator), {**attack.facts, **evaluator.facts})

    def cell(
        self, kind: str, made: dict[str, Any], needs: tuple[Cell, ...], facts: dict[str, Any], what: Any = None
    ) -> Cell:
        """A cell whose definition is `made`, and what all definitions say."""
        shared = {"format": FORMAT, "kind": kind, "threads": THREADS, "data": self.material.definition}
        return Cell(kind, {**shared, **made}, needs, facts, what)
