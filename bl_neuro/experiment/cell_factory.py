"""Creates the cells of an experiment (targets, evaluators, attacks, judgements) with the cells that they depend on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bl_neuro.access import Reveals
from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.attacks.budget import fit_to_budget
from bl_neuro.backends import find_backend
from bl_neuro.backends.registry import ANN, BACKENDS
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.attack_choice import make_attack, seeing_images
from bl_neuro.experiment.cells import FORMAT, THREADS, Cell
from bl_neuro.experiment.definition import AttackPart, EvaluatorPart, Experiment
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.training_plans import DEFAULT, target_plan, twin_plan
from bl_neuro.mitigations import Mitigation
from bl_neuro.seeding import derived_seed
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.registry import EVALUATORS


class CellFactory:
    """Creates the cells of one experiment."""

    def __init__(self, experiment: Experiment, material: Material) -> None:
        self.experiment, self.material = experiment, material
        self.plan = target_plan(material.name, experiment.steps, experiment.target)
        self.steps = experiment.steps or self.plan.steps

    def evaluators(self, seed: int) -> list[Cell]:
        """The cells of all evaluators that judge attacks on the target of `seed`."""
        return [self._evaluator(part, seed) for part in self.experiment.evaluators]

    @property
    def judging_seeds(self) -> list[int]:
        """Target seeds whose evaluators differ: all if each has its own, or the first."""
        seeds = self.experiment.target_seeds
        return seeds if self.experiment.dataset.redraw else seeds[:1]

    def restarts(self, part: AttackPart) -> int:
        """Number of runs of an attack on one target, substrate and kind of box."""
        return part.restarts or self.experiment.restarts

    def _evaluator(self, part: EvaluatorPart, seed: int) -> Cell:
        """The cell of an evaluator: of the target of `seed` alone if each has its own, else of all targets."""
        made = {**part.definition, "steps": self.steps, **packages_of((EVALUATORS, part.kind))}
        facts: dict[str, Any] = {"evaluator": part.called}
        if self.experiment.dataset.redraw:
            made["seed"] = derived_seed(part.seed, "evaluator of a target", seed)
            facts["seed"] = seed
        return self.cell("evaluator", made, (), facts, part, self.material.definition_of(seed))

    def target(self, kind: str, seed: int, plan: TargetDesign) -> Cell:
        """The cell of a target network."""
        made: dict[str, Any]
        if self.material.network is not None:
            made = {"fingerprint": self.material.network.fingerprint}
        elif self.material.endpoints:
            made = {"endpoint": next(iter(self.material.endpoints.values())).definition}
        else:
            made = {"plan": plan.facts(), "seed": seed, "learned": kind, **_trainer(plan.trainer)}
        facts = {"target": kind, "seed": seed}
        return self.cell("target", made, (), facts, plan, self.material.definition_of(seed))

    def twin(self, target: Cell) -> Cell:
        """The cell of the ANN twin of a target."""
        plan, hidden = twin_plan(self.experiment.twin), self.plan.hidden
        made = {"plan": asdict(plan), "hidden": list(hidden), "seed": target.facts["seed"], **_trainer(plan.trainer)}
        facts, data = {**target.facts, "substrate": ANN}, target.definition["data"]
        return self.cell("twin", made, (), facts, (plan, hidden), data)

    def twin_accuracy(self, twin: Cell) -> Cell:
        """The cell of the test accuracy of a twin."""
        made = {"target": twin.address, "substrate": ANN, "class_map": self.material.class_map}
        return self.cell("accuracy", made, (twin,), twin.facts)

    def twin_attacks(self, twin: Cell, part: AttackPart) -> Iterator[Cell]:
        """The cells of attacks on a twin, and of their judgements."""
        yield from self._judged(twin, ANN, part, "gradient", self.restarts(part))

    def accuracy(self, target: Cell, substrate: str) -> Iterator[Cell]:
        """The cells of the test accuracy of a network on a substrate.

        None if the substrate reveals no label, or if an endpoint is not to be tested.
        """
        endpoint = self.material.endpoints.get(substrate)
        if endpoint is not None:
            if endpoint.tested:
                seed = derived_seed(target.facts["seed"], "audit service")
                made = {**self._tested(target, substrate), "samples": endpoint.tested, "seed": seed}
                yield self.cell("accuracy", made, (target,), self._on(target, substrate))
        elif self.shown(substrate, ["label"]):
            yield self.cell("accuracy", self._tested(target, substrate), (target,), self._on(target, substrate))

    def service(self, target: Cell, substrate: str, reveals: str, mitigation: Mitigation | None = None) -> Cell:
        """The cell of the test accuracy through a black box, from what it reveals."""
        made = {
            **self._tested(target, substrate),
            "reveals": reveals,
            "mitigation": None if mitigation is None else mitigation.definition,
            "seed": derived_seed(target.facts["seed"], "audit service"),
            **packages_of((BACKENDS, substrate), mitigation=mitigation),
        }
        facts = {**self._on(target, substrate), "reveals": reveals}
        if mitigation is not None:
            facts["mitigation"] = mitigation.label
        return self.cell("service", made, (target,), facts)

    def changed(self, target: Cell, mitigation: Mitigation) -> Cell:
        """The cell of the network that a mitigation deploys instead of another."""
        made = {
            "target": target.address,
            **mitigation.network_definition(),
            **packages_of(mitigation=mitigation),
        }
        return self.cell("changed", made, (target,), {**target.facts, "mitigation": mitigation.label}, mitigation)

    def _tested(self, target: Cell, substrate: str) -> dict[str, Any]:
        return {
            "target": target.address,
            "substrate": substrate,
            "steps": self.steps,
            "encoder": self.material.encoder,
            "class_map": self.material.class_map,
            **self.place(substrate),
            **packages_of((BACKENDS, substrate)),
        }

    def place(self, substrate: str) -> dict[str, Any]:
        """The part of a definition that states an endpoint or the options of a substrate; empty if there are none."""
        endpoint, options = self.material.endpoints.get(substrate), self.experiment.options.get(substrate)
        if endpoint is not None:
            return {"endpoint": endpoint.definition}
        return {"options": options} if options else {}

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
        mitigation: Mitigation | None = None,
    ) -> Iterator[Cell]:
        """The cells of attacks on a network on a substrate, and of their judgements. only: one output, or all."""
        for reveals in self.views(substrate, part):
            if only is not None and reveals not in only:
                continue
            yield from self._judged(target, substrate, part, reveals, restarts, mitigation)

    def views(self, substrate: str, part: AttackPart) -> list[str]:
        """The outputs that an attack uses on a substrate; empty if it is not run there."""
        access = ATTACKS.find(part.attack).access
        if access == "ann" or (part.substrates is not None and substrate not in part.substrates):
            return []
        if access == "black_box":
            return [*self.shown(substrate, part.reveals or [])]
        differentiable = substrate not in self.material.endpoints and find_backend(substrate).differentiable
        return ["gradient"] if differentiable else []

    def _judged(
        self,
        target: Cell,
        substrate: str,
        part: AttackPart,
        reveals: str,
        restarts: int,
        mitigation: Mitigation | None = None,
    ) -> Iterator[Cell]:
        """The cells of all restarts of an attack, and of their judgements."""
        for restart in range(restarts):
            attack = self.attack(target, substrate, part, reveals, restart, mitigation)
            yield attack
            for evaluator in self.evaluators(target.facts["seed"]):
                yield self.judgement(attack, evaluator)

    def shown(self, substrate: str, reveals: Sequence[Reveals]) -> list[Reveals]:
        """The outputs in `reveals` that a black box on this substrate can reveal."""
        endpoint = self.material.endpoints.get(substrate)
        if endpoint is not None:
            return [view for view in reveals if view == endpoint.reveals]
        network = self.material.network
        by_membrane = network is not None and network.readout == "membrane"
        hidden = {"membrane", "scores", *(["label"] if by_membrane else [])}
        return [view for view in reveals if find_backend(substrate).reveals_membrane or view not in hidden]

    def attack(
        self,
        target: Cell,
        substrate: str,
        part: AttackPart,
        reveals: str,
        restart: int,
        mitigation: Mitigation | None = None,
    ) -> Cell:
        """The cell of one attack, which inverts each class."""
        attack = self._fitted(part)
        if self.experiment.given:
            attack = seeing_images(attack, self.material.input_shape(substrate), self.material.shape)
        outputs = self.material.outputs
        planned = attack.planned_queries(len(outputs))
        budget = part.budget or planned
        if mitigation is not None and mitigation.changes("budget"):
            budget = mitigation.budget(budget)
            if budget is not None and (planned is None or planned > budget):
                attack = attack.within(budget, len(outputs))
        twin = part.twin if "twin" in attack.needs else None
        made: dict[str, Any] = {
            "target": target.address,
            "substrate": substrate,
            "attack": part.attack,
            "preset": part.preset,
            "given": part.settings,
            "settings": attack.settings(),  # what the library makes of those given
            "reveals": reveals,
            "budget": budget,
            "twin": twin,
            "steps": self.steps,
            "outputs": outputs,
            "classes": self.material.classes,
            # Not of the substrate, nor of what is revealed: what differs between two such cells is that alone.
            "seed": derived_seed(target.facts["seed"], "audit attack", restart),
        }
        about: dict[str, Any] = {"substrate": substrate, "attack": part.called, "reveals": reveals, "restart": restart}
        if "auxiliary" in attack.needs:
            auxiliary = self.material.auxiliary
            made["auxiliary"] = None if auxiliary is None else auxiliary.digest
        made |= self.place(substrate)
        made |= packages_of((ATTACKS, part.attack), (BACKENDS, substrate), (BACKENDS, twin), mitigation=mitigation)
        if mitigation is not None:
            made["mitigation"], about["mitigation"] = mitigation.definition, mitigation.label
        return self.cell("attack", made, (target,), {**target.facts, **about}, attack)

    def _fitted(self, part: AttackPart) -> Attack[Any]:
        """The attack, adapted to its budget if it has one; the settings in the experiment do not change."""
        attack = make_attack(part.attack, part.preset, part.settings)
        if part.budget is None:
            return attack
        try:
            return fit_to_budget(attack, part.budget, len(self.material.outputs), part.settings)
        except InputError as error:
            raise ExperimentError(f"attacks.{part.called}.{error}") from error

    def judgement(self, attack: Cell, evaluator: Cell) -> Cell:
        """The cell of one evaluator's judgement of the inversions of an attack."""
        made = {"attack": attack.address, "evaluator": evaluator.address}
        return self.cell("judgement", made, (attack, evaluator), {**attack.facts, **evaluator.facts})

    def cell(
        self,
        kind: str,
        made: dict[str, Any],
        needs: tuple[Cell, ...],
        facts: dict[str, Any],
        what: Any = None,
        data: dict[str, Any] | None = None,
    ) -> Cell:
        """A cell with the definition `made` and the entries that all definitions share.

        data: the data and its split; by default those of the last cell that it needs, or of the whole experiment.
        """
        if data is None:
            data = needs[-1].definition["data"] if needs else self.material.definition
        shared = {"format": FORMAT, "kind": kind, "threads": THREADS, "data": data}
        return Cell(kind, {**shared, **made}, needs, facts, what)


def _trainer(name: str) -> dict[str, str]:
    """The part of a definition that states the trainer; empty for the default trainer."""
    return {} if name == DEFAULT else {"trainer": name}
