"""The cells of an experiment: what there is to do, what each depends on, and the address of what comes of it.

A cell's definition is everything that its result depends on, and names the results it is made from by their addresses.
So a changed definition changes the address of its cell and of all that is made from it, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bl_neuro.audit.address import content_address
from bl_neuro.audit.attack_choice import ATTACKS, make_attack, planned_budget
from bl_neuro.audit.experiment import AttackPart, ControlPart, EvaluatorPart, Experiment
from bl_neuro.audit.experiment_checks import target_plan
from bl_neuro.audit.material import Material
from bl_neuro.backends import find_backend
from bl_neuro.seeding import derived_seed
from bl_neuro.training.plans import TargetPlan

FORMAT = 1
"""Version of definitions and results: another one makes all of them anew."""
THREADS = 1
"""Threads of every cell, whatever the machine: sums of floats depend on how threads share them out."""
TRAINED = "trained"


@dataclass(frozen=True)
class Cell:
    """One piece of work. kind: "target", "evaluator", "accuracy", "attack" or "judgement".

    definition: see the module. needs: cells whose results it is made from. facts: what tables sort it by; among them
    target ("trained", "untrained", "shuffled_labels", "given"), seed, substrate, attack, reveals, restart, evaluator.
    what: the definition as an object: TargetPlan, EvaluatorPart, or Attack.
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
    def said(self) -> str:
        """What it is, in a line."""
        return " ".join([self.kind, *(f"{name} {value}" for name, value in self.facts.items() if value is not None)])


def plan_cells(experiment: Experiment, material: Material) -> list[Cell]:
    """Every cell of `experiment`, each once, none before what it needs."""
    planner = _Planner(experiment, material)
    return list({cell.address: cell for cell in planner.cells()}.values())


class _Planner:
    def __init__(self, experiment: Experiment, material: Material) -> None:
        self.experiment, self.material = experiment, material
        self.plan = target_plan(material.name, experiment.steps, experiment.target)
        self.steps = experiment.steps or self.plan.steps
        self.evaluators = [self.evaluator(part) for part in experiment.evaluators]

    def cells(self) -> Iterator[Cell]:
        yield from self.evaluators
        for seed in self.experiment.target_seeds:
            kind = TRAINED if self.material.network is None else "given"
            target = self.target(kind, seed, self.plan)
            yield target
            for substrate in self.experiment.substrates:
                yield from self.accuracy(target, substrate)
                for part in self.experiment.attacks:
                    yield from self.attacks(target, substrate, part, part.restarts or self.experiment.restarts)
        for control in self.experiment.controls:
            yield from self.control(control)

    def control(self, part: ControlPart) -> Iterator[Cell]:
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
                        restarts = part.restarts or attack.restarts or self.experiment.restarts
                        yield from self.attacks(target, substrate, attack, restarts)

    def evaluator(self, part: EvaluatorPart) -> Cell:
        facts = {"evaluator": part.kind}
        made = {"evaluator": part.kind, "seed": part.seed, "epochs": part.epochs, "steps": self.steps}
        return Cell("evaluator", self._definition("evaluator", **made), (), facts, part)

    def target(self, kind: str, seed: int, plan: TargetPlan) -> Cell:
        made: dict[str, Any]
        if self.material.network is not None:
            made = {"fingerprint": self.material.network.fingerprint}
        else:
            made = {"plan": plan.facts(), "seed": seed, "learned": kind}
        return Cell("target", self._definition("target", **made), (), {"target": kind, "seed": seed}, plan)

    def accuracy(self, target: Cell, substrate: str) -> Iterator[Cell]:
        if not self.shown(substrate, ["label"]):
            return
        model = self.material.model
        made = {
            "target": target.address,
            "substrate": substrate,
            "steps": self.steps,
            "encoder": "rate" if model is None else model.encoder,
            "class_map": self.material.class_map,
        }
        yield Cell("accuracy", self._definition("accuracy", **made), (target,), self._facts(target, substrate))

    def attacks(self, target: Cell, substrate: str, part: AttackPart, restarts: int) -> Iterator[Cell]:
        if part.substrates is not None and substrate not in part.substrates:
            return
        white = ATTACKS[part.attack].access == "white_box"
        if white and not find_backend(substrate).differentiable:
            return
        for reveals in ["gradient"] if white else self.shown(substrate, part.reveals or []):
            for restart in range(restarts):
                attack = self.attack(target, substrate, part, reveals, restart)
                yield attack
                for evaluator in self.evaluators:
                    yield self.judgement(attack, evaluator)

    def shown(self, substrate: str, reveals: Sequence[str]) -> list[str]:
        """Those of `reveals` that a box on this substrate can show."""
        network = self.material.network
        by_membrane = network is not None and network.readout == "membrane"
        hidden = {"membrane", "scores", *(["label"] if by_membrane else [])}
        return [each for each in reveals if find_backend(substrate).reveals_membrane or each not in hidden]

    def attack(self, target: Cell, substrate: str, part: AttackPart, reveals: str, restart: int) -> Cell:
        attack = make_attack(part.attack, part.preset, part.settings)
        outputs = self.material.outputs
        made = {
            "target": target.address,
            "substrate": substrate,
            "attack": part.attack,
            "preset": part.preset,
            "given": part.settings,
            "settings": attack.settings(),  # what the library makes of those given
            "reveals": reveals,
            "budget": part.budget or planned_budget(attack, len(outputs)),
            "twin": part.twin if part.attack == "transfer" else None,
            "steps": self.steps,
            "outputs": outputs,
            "classes": self.material.classes,
            # Not of the substrate, nor of what is revealed: what differs between two such cells is that alone.
            "seed": derived_seed(target.facts["seed"], "audit attack", restart),
        }
        facts = {**self._facts(target, substrate), "attack": part.called, "reveals": reveals, "restart": restart}
        return Cell("attack", self._definition("attack", **made), (target,), facts, attack)

    def judgement(self, attack: Cell, evaluator: Cell) -> Cell:
        made = {"attack": attack.address, "evaluator": evaluator.address}
        return Cell(
            "judgement", self._definition("judgement", **made), (attack, evaluator), {**attack.facts, **evaluator.facts}
        )

    def _definition(self, kind: str, **made: Any) -> dict[str, Any]:
        return {"format": FORMAT, "kind": kind, "threads": THREADS, "data": self.material.definition, **made}

    @staticmethod
    def _facts(target: Cell, substrate: str) -> dict[str, Any]:
        return {**target.facts, "substrate": substrate}
