"""The cells of zero-query baselines: their pictures, the judgements of these, and attacks on targets that know nothing.

`baselines` of an experiment names them; by default all that apply. A baseline that does not apply is left out, with the
reason in the findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bl_neuro.attacks import ATTACKS
from bl_neuro.experiment.added_packages import packages_of
from bl_neuro.experiment.cell_factory import CellFactory
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import AttackPart, Experiment
from bl_neuro.experiment.material import Material
from bl_neuro.leakage.baseline_kind import PublicImages, PublicKnowledge
from bl_neuro.leakage.baseline_registry import BASELINES, PRIOR
from bl_neuro.training.trainers import untrained

SEED = 0
"""Seed of all pictures of baselines: they do not depend on the targets."""
PRIORS = 3
"""Maximum number of uninformed targets that an attack's prior is measured on."""


@dataclass(frozen=True)
class ChosenBaselines:
    """The baselines of an experiment. apply: names of those that apply. left_out: the others, each with the reason."""

    apply: tuple[str, ...]
    left_out: dict[str, str]


def chosen_baselines(experiment: Experiment, material: Material) -> ChosenBaselines:
    """The baselines that the experiment names, by default all; none without an attack that they compare with.

    Raises:
        DataError, ExperimentError: the public data of the attacker cannot be used.
    """
    if not experiment.attacks:
        return ChosenBaselines((), {})
    names = [*BASELINES.usable(), PRIOR] if experiment.baselines is None else experiment.baselines
    public = public_knowledge(material) if names else None
    apply, left_out = [], {}
    for name in names:
        problem = _prior_problem(experiment) if name == PRIOR else _problem(name, public)
        if problem is None:
            apply.append(name)
        else:
            left_out[name] = problem
    return ChosenBaselines(tuple(apply), left_out)


def public_knowledge(material: Material) -> PublicKnowledge:
    """What an attacker on this material knows before the first query."""
    auxiliary = material.auxiliary
    return PublicKnowledge(
        shape=material.shape,
        classes=tuple(material.classes),
        class_names=tuple(material.class_names[label] for label in material.classes),
        auxiliary=None if auxiliary is None else PublicImages(auxiliary.originals, auxiliary.labels),
    )


def _problem(name: str, public: PublicKnowledge | None) -> str | None:
    if public is None or len(public.shape) != 3:
        return "the samples are not images"
    return BASELINES.find(name)().problem(public)


def _prior_problem(experiment: Experiment) -> str | None:
    if experiment.given and experiment.model is None:
        return "an endpoint cannot be replaced by a target without information"
    return None


def picture_cells(factory: CellFactory) -> Iterator[Cell]:
    """The cells of all baselines of pictures that apply, and the evaluators that they need.

    They are planned before all attacks, so that an unfinished audit has its margins and advantages from the start.
    """
    names = [name for name in chosen_baselines(factory.experiment, factory.material).apply if name != PRIOR]
    if names:
        yield from (judge for seed in factory.judging_seeds for judge in factory.evaluators(seed))
    for name in names:
        yield from _pictures(factory, name)


def _pictures(factory: CellFactory, name: str) -> Iterator[Cell]:
    """The pictures of a baseline in each layout, and their judgements by every evaluator."""
    kind, material = BASELINES.find(name), factory.material
    for layout in kind.layouts:
        made = {
            "baseline": name,
            "layout": layout,
            "classes": material.classes,
            "class_names": [material.class_names[label] for label in material.classes],
            "seed": SEED,
            **({"auxiliary": material.auxiliary.digest} if kind.uses_auxiliary and material.auxiliary else {}),
            **packages_of((BASELINES, name)),
        }
        baseline = factory.cell("baseline", made, (), {"baseline": name, "layout": layout}, kind())
        yield baseline
        for evaluator in (judge for seed in factory.judging_seeds for judge in factory.evaluators(seed)):
            judged = {"baseline": baseline.address, "evaluator": evaluator.address, "steps": factory.steps}
            facts = {**baseline.facts, **evaluator.facts}
            yield factory.cell("baseline_judgement", judged, (baseline, evaluator), facts)


def prior_cells(factory: CellFactory) -> Iterator[Cell]:
    """Attacks on targets without information, with each output that no untrained control of the experiment covers.

    These are untrained targets or, for a given model, the model with its weights shuffled within each layer. Each
    attack runs once on each, on the first substrate that allows it. No cells where the prior is no baseline.
    """
    experiment = factory.experiment
    if PRIOR not in chosen_baselines(experiment, factory.material).apply:
        return
    for seed in _prior_seeds(experiment):
        target = _uninformed(factory, seed)
        cells = [cell for part in experiment.attacks for cell in _attacks_on(factory, target, part)]
        if cells:
            yield target
            yield from cells


def _prior_seeds(experiment: Experiment) -> list[int]:
    return list(range(PRIORS)) if experiment.given else experiment.target_seeds[:PRIORS]


def _uninformed(factory: CellFactory, seed: int) -> Cell:
    network = factory.material.network
    if network is None:
        return factory.target("untrained", seed, untrained(factory.plan))
    made = {"fingerprint": network.fingerprint, "seed": seed}
    return factory.cell("shuffled_weights", made, (), {"target": "shuffled_weights", "seed": seed})


def _attacks_on(factory: CellFactory, target: Cell, part: AttackPart) -> Iterator[Cell]:
    covered = _covered(factory.experiment, part)
    own = [name for name in factory.experiment.substrates if name not in factory.material.endpoints]
    views = dict.fromkeys(view for name in own for view in factory.views(name, part) if view not in covered)
    for view in views:
        substrate = next(name for name in own if view in factory.views(name, part))
        yield from factory.attacks(target, substrate, part, 1, [view])


def _covered(experiment: Experiment, part: AttackPart) -> set[str]:
    """The outputs with which a control attacks untrained targets; "gradient" stands for a white box."""
    views = part.reveals if ATTACKS.find(part.attack).access == "black_box" else ["gradient"]
    return {
        view
        for control in experiment.controls
        if control.kind == "untrained" and (control.attacks is None or part.called in control.attacks)
        for view in views or []
        if control.reveals is None or view in control.reveals
    }
