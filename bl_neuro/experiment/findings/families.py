"""The families of comparisons that are tested together, declared from the plan alone.

Holm's method corrects within a family. What a family holds follows from the experiment file, before any cell is done:
comparisons that are identical by construction, of substrates in one arithmetic, are collapsed into one. `bl-neuro audit
--plan` lists the families, and the findings hold the same list, so that equal digests show that nothing was added or
left out after results were seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from math import comb

from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.estimates import MEASURES
from bl_neuro.experiment.findings.ladder import ladder_rungs
from bl_neuro.experiment.findings.membership import COMPARED, computed_as, deployed_name
from bl_neuro.experiment.findings.mitigations import planned_cases
from bl_neuro.experiment.findings.models import OWN
from bl_neuro.experiment.findings.plan_models import ComparisonFamily
from bl_neuro.experiment.findings.secrets_rows import planned_rows
from bl_neuro.experiment.findings.secrets_twins import twin_pairs

DIGITS = 16
"""Number of hexadecimal digits of a digest."""


def declared_families(
    experiment: Experiment, cells: Sequence[Cell], arithmetic: Mapping[str, str]
) -> list[ComparisonFamily]:
    """The families of an experiment, from its planned cells. arithmetic: of each substrate."""
    found = [
        *_inversion(experiment, cells, arithmetic),
        *_ladder(experiment, cells),
        *_mitigations(experiment, cells),
        *_secrets(cells, arithmetic),
        *_membership(experiment, cells, arithmetic),
    ]
    return [family for family in found if family.comparisons]


def families_digest(families: Sequence[ComparisonFamily]) -> str:
    """The first 16 digits of the SHA-256 of the families: equal for equal lists."""
    text = json.dumps([family.model_dump(mode="json") for family in families], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _evaluators(experiment: Experiment) -> list[str]:
    return list(dict.fromkeys(part.called for part in experiment.evaluators))


def _judged(experiment: Experiment) -> list[str]:
    return [f"{name} under {evaluator}" for evaluator in _evaluators(experiment) for name in MEASURES.values()]


def _inversion(
    experiment: Experiment, cells: Sequence[Cell], arithmetic: Mapping[str, str]
) -> Iterator[ComparisonFamily]:
    views: dict[str, dict[str, Hashable]] = {}
    for cell in cells:
        if cell.kind == "attack" and cell.plain and cell.facts["target"] in OWN and cell.facts["substrate"] != ANN:
            view, name = f"{cell.facts['attack']}, {cell.facts['reveals']}", cell.facts["substrate"]
            views.setdefault(view, {})[name] = arithmetic.get(name, name)
    if experiment.evaluators:
        yield _of_views("Does the substrate change inversion?", _judged(experiment), views)


def _secrets(cells: Sequence[Cell], arithmetic: Mapping[str, str]) -> Iterator[ComparisonFamily]:
    views: dict[str, dict[str, Hashable]] = {}
    for cell in cells:
        if cell.kind == "secret_reading" and cell.facts["substrate"] != ANN:
            view, name = f"{cell.facts['attack']}, {cell.facts['reveals']}, all budgets", cell.facts["substrate"]
            views.setdefault(view, {})[name] = arithmetic.get(name, name)
    yield _of_views("Does the substrate change what is recovered of planted secrets?", ["recovered share"], views)
    pairs = [
        f"{pair.target.attack}, {pair.target.reveals}, all budgets: {pair.target.substrate} less ANN twins"
        for pair in twin_pairs(planned_rows(cells))
    ]
    question = "Do ANN twins give away as much of planted secrets?"
    yield ComparisonFamily(
        question=question, judged_by=["recovered share beside ANN twins"], comparisons=pairs, collapsed=0
    )


def _of_views(question: str, judged_by: Sequence[str], views: Mapping[str, Mapping[str, Hashable]]) -> ComparisonFamily:
    """All pairs of the deployments of each view, those that compute the same as one. views: what each computes."""
    comparisons, every = [], 0
    for view, deployed in views.items():
        every += comb(len(deployed), 2)
        pairs = combinations(_groups(deployed), 2)
        comparisons += [f"{view}: {'/'.join(one)} less {'/'.join(other)}" for one, other in pairs]
    return ComparisonFamily(
        question=question, judged_by=list(judged_by), comparisons=comparisons, collapsed=every - len(comparisons)
    )


def _groups(deployed: Mapping[str, Hashable]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for name, kind in deployed.items():
        groups.setdefault(kind, []).append(name)
    return list(groups.values())


def _ladder(experiment: Experiment, cells: Sequence[Cell]) -> Iterator[ComparisonFamily]:
    for attack, rungs in ladder_rungs(experiment, cells):
        yield ComparisonFamily(
            question=f"Which step of deployment changes what {attack} gets?",
            judged_by=_judged(experiment),
            comparisons=[f"{rung} less {before}" for before, rung in pairwise(rungs)],
            collapsed=0,
        )


def _mitigations(experiment: Experiment, cells: Sequence[Cell]) -> Iterator[ComparisonFamily]:
    comparisons = [
        f"{case.attack}, {case.reveals} on {case.part.substrate}: without less with {case.part.mitigation.label}"
        for case in planned_cases(experiment, cells)
    ]
    if comparisons:
        yield ComparisonFamily(
            question="What does a mitigation remove?",
            judged_by=[f"{MEASURES['hit']} under {evaluator}" for evaluator in _evaluators(experiment)],
            comparisons=comparisons,
            collapsed=0,
        )


def _membership(
    experiment: Experiment, cells: Sequence[Cell], arithmetic: Mapping[str, str]
) -> Iterator[ComparisonFamily]:
    """Each deployment against the first with the same output."""
    part = experiment.membership
    if part is None:
        return
    views: dict[str, dict[str, Hashable]] = {}
    for cell in cells:
        if cell.kind == "membership" and cell.facts["ask"] == part.asked[0].called:
            views.setdefault(cell.facts["reveals"], {})[deployed_name(cell)] = computed_as(cell, arithmetic)
    comparisons, every = [], 0
    for reveals, deployed in views.items():
        every += len(deployed) - 1
        first, *others = _groups(deployed)
        comparisons += [f"{part.attacks[0]}, {reveals}: {'/'.join(one)} less {'/'.join(first)}" for one in others]
    yield ComparisonFamily(
        question="Does the deployment change membership inference?",
        judged_by=[name for _, _, name in COMPARED.values()],
        comparisons=comparisons,
        collapsed=every - len(comparisons),
    )
