"""The findings of `[membership]`: how well each attack separates members, and whether the deployment changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.conversion import difference_of, mean_of
from bl_neuro.experiment.findings.estimates import Count, Finding, Fraction, Mean, Number
from bl_neuro.experiment.measures import ANSWERS, MEMBER_REPLAY, MEMBERSHIP, Measures
from bl_neuro.experiment.membership_measures import AnswersMeasures, SeparationMeasures
from bl_neuro.experiment.membership_part import MembershipPart
from bl_neuro.experiment.membership_results import AUC, TPR_AT_1, read_crossed
from bl_neuro.experiment.store import Store
from bl_neuro.leakage.bootstrap import LEVEL, Estimate
from bl_neuro.leakage.crossed import Crossed, CrossedTest, crossed_test
from bl_neuro.leakage.nulls import holm

MembershipMeasure = Literal["auc", "tpr_at_1"]
COMPARED: dict[MembershipMeasure, tuple[int, float, str]] = {
    "auc": (AUC, 0.5, "AUC"),
    "tpr_at_1": (TPR_AT_1, 0.01, "true-positive rate at 1% false positives"),
}
"""The compared measures: index in the stored values, value by chance, and name in words."""
LEAST_MARGIN = 0.005


class MembershipRow(Finding):
    """One membership attack on one deployment through one output, over all targets."""

    substrate: str
    mitigation: str | None = None
    reveals: str
    ask: str = Field(description="How the attacker asks: plain, noise, dropout, or a label.")
    attack: str
    shadows: str = Field(description="right: trained as the targets; wrong: trained with other settings.")
    targets: Count
    samples: Count = Field(description="Size of the pool.")
    queries: Count = Field(description="To each target.")
    members_right: Fraction = Field(description="Accuracy on members, mean over targets.")
    others_right: Fraction = Field(description="Accuracy on other samples of the pool, mean over targets.")
    auc: Mean
    tpr_at_01: Mean
    tpr_at_1: Mean
    balanced_accuracy: Mean
    null_auc: Mean = Field(description="Judged by the members of another network; chance is 0.5.")
    null_tpr_at_1: Mean
    epsilon: Mean = Field(description="Lower bound on epsilon (95% each), mean over targets.")
    false: list[Fraction] = Field(description="False-positive rates of the mean ROC curve.")
    true: list[Fraction]

    @property
    def deployment(self) -> str:
        """The substrate, with the mitigation if there is one."""
        return deployment_name(self.substrate, self.mitigation)


class MembershipComparison(Finding):
    """Whether a deployment changes how well members are told apart, against the first deployment."""

    reveals: str
    attack: str
    measure: MembershipMeasure
    first: str = Field(description="Deployment; several that compute and come out the same are joined by 'and'.")
    second: str
    difference: Mean = Field(description="Second less first, over targets and pool.")
    margin: Number = Field(
        gt=0,
        description="Share of the distance of the first deployment from chance, at least 0.005: the same for all "
        "comparisons of an output. It is as uncertain as this distance.",
    )
    adjusted_p: Fraction = Field(description="Of a difference, by Holm's method over the comparisons of a measure.")
    adjusted_p_equivalent: Fraction
    verdict: Literal["differs", "equivalent", "inconclusive"]


class MembershipReplay(Finding):
    """Queries to one network that were repeated on another substrate and compared with those to the first."""

    substrate: str
    of: str
    network: Count = Field(description="Its number.")
    ask: str
    reveals: list[str] = Field(description="The outputs, each with a black box of its own.")
    samples: Count
    queries: Count = Field(description="For each output.")
    identical: bool = Field(description="Whether every answer is the same in every bit.")
    differs: list[str] = Field(description="The outputs for which it is not.")


class MembershipFindings(Finding):
    """All findings about membership. share: of the distance from chance that is an irrelevant difference."""

    networks: Count
    samples: Count
    share: Number
    rows: list[MembershipRow]
    comparisons: list[MembershipComparison]
    replays: list[MembershipReplay] = Field(default_factory=list)


def membership_findings(
    experiment: Experiment, cells: Sequence[Cell], measures: Measures, store: Store, arithmetic: Mapping[str, str]
) -> MembershipFindings | None:
    """The findings of finished cells; None without `[membership]` or before the first is done.

    arithmetic: of each substrate; deployments of one arithmetic that come out the same are compared once.
    """
    part = experiment.membership
    finished = MEMBERSHIP.finished(cells, measures)
    if part is None or not finished:
        return None
    rows = [
        _row(cell, measured, one, asked)
        for cell, measured in finished
        for one in measured.attacks
        # none if their results are damaged or deleted, which the next run makes good
        if (asked := [answers for _, answers in ANSWERS.finished(cell.needs[: one.targets], measures)])
    ]
    return MembershipFindings(
        networks=part.networks,
        samples=finished[0][1].samples,
        share=part.margin,
        rows=rows,
        comparisons=_comparisons(finished, part, store, arithmetic),
        replays=_replays(cells, measures),
    )


def _replays(cells: Sequence[Cell], measures: Measures) -> list[MembershipReplay]:
    return [
        MembershipReplay(
            substrate=cell.facts["substrate"],
            of=cell.facts["of"],
            network=cell.facts["seed"],
            ask=cell.facts["ask"],
            reveals=cell.definition["reveals"],
            **measured.model_dump(),
        )
        for cell, measured in MEMBER_REPLAY.finished(cells, measures)
    ]


def _row(cell: Cell, measured: Any, one: SeparationMeasures, asked: Sequence[AnswersMeasures]) -> MembershipRow:
    reveals = cell.facts["reveals"]
    means = {name: _mean(getattr(one, name), one.targets, measured.samples) for name in _INTERVALS}
    return MembershipRow(
        substrate=cell.facts["substrate"],
        mitigation=cell.facts.get("mitigation"),
        reveals=reveals,
        ask=cell.facts["ask"],
        attack=one.attack,
        shadows=one.shadows,
        targets=one.targets,
        samples=measured.samples,
        queries=measured.queries,
        members_right=float(np.mean([answers.members_right[reveals] for answers in asked])),
        others_right=float(np.mean([answers.others_right[reveals] for answers in asked])),
        false=one.false,
        true=one.true,
        **means,
    )


_INTERVALS = ("auc", "tpr_at_01", "tpr_at_1", "balanced_accuracy", "null_auc", "null_tpr_at_1", "epsilon")


def _mean(interval: Sequence[float], targets: int, samples: int) -> Mean:
    return mean_of(Estimate(interval[0], interval[1], interval[2], targets, targets * samples))


def _comparisons(
    finished: Sequence[tuple[Cell, Any]], part: MembershipPart, store: Store, arithmetic: Mapping[str, str]
) -> list[MembershipComparison]:
    """Each deployment against the first one with the same output; Holm's method over all of one measure."""
    compared = []
    for measure, (place, chance, _) in COMPARED.items():
        views = measured_views(finished, part, store, place, arithmetic)
        tested = list(_tested(views, part.margin, chance))
        if not tested:
            continue
        differs = holm([test.p for *_, test, _ in tested])
        same = holm([test.p_equivalent for *_, test, _ in tested])
        for (reveals, first, second, test, margin), p, p_equivalent in zip(tested, differs.tolist(), same.tolist()):
            equivalent, found = p_equivalent < 1 - LEVEL, p < 1 - LEVEL
            compared.append(
                MembershipComparison(
                    reveals=reveals,
                    attack=part.attacks[0],
                    measure=measure,
                    first=first,
                    second=second,
                    difference=difference_of(test.difference),
                    margin=margin,
                    adjusted_p=p,
                    adjusted_p_equivalent=p_equivalent,
                    verdict="equivalent" if equivalent else "differs" if found else "inconclusive",
                )
            )
    return compared


Deployed = tuple[list[str], Crossed]
"""Names of deployments that came out the same, with their measure of each target."""


def measured_views(
    finished: Sequence[tuple[Cell, Any]], part: MembershipPart, store: Store, place: int, arithmetic: Mapping[str, str]
) -> dict[str, list[Deployed]]:
    """By output, the deployments with their measure; those that compute and come out the same are one.

    By the first of the asks and attacks. place: index of the measure in the stored values.
    """
    views: dict[str, dict[tuple[str, str | None], list[Deployed]]] = {}
    for cell, measured in finished:
        if cell.facts["ask"] != part.asked[0].called:
            continue
        values = _crossed(store, cell, part.attacks[0], place, measured.samples)
        alike = views.setdefault(cell.facts["reveals"], {}).setdefault(computed_as(cell, arithmetic), [])
        same = next((names for names, other in alike if _equal(values, other)), None)
        if same is None:
            alike.append(([deployed_name(cell)], values))
        else:
            same.append(deployed_name(cell))
    return {reveals: [one for group in kinds.values() for one in group] for reveals, kinds in views.items()}


def computed_as(cell: Cell, arithmetic: Mapping[str, str]) -> tuple[str, str | None]:
    """What the deployment of a cell computes: its arithmetic and mitigation."""
    substrate = cell.facts["substrate"]
    return arithmetic.get(substrate, substrate), cell.facts.get("mitigation")


def _equal(one: Crossed, other: Crossed) -> bool:
    return np.array_equal(one.values, other.values) and np.array_equal(one.resampled, other.resampled)


def _tested(
    views: Mapping[str, Sequence[Deployed]], share: float, chance: float
) -> Iterator[tuple[str, str, str, CrossedTest, float]]:
    """The comparisons of each output: its name, the first deployment and another one, with their test and margin.

    The margin is that of all comparisons of one output, from the first deployment.
    """
    for reveals, ((first, base), *others) in views.items():
        margin = max(LEAST_MARGIN, share * (base.estimate.value - chance))
        for second, values in others:
            yield reveals, " and ".join(first), " and ".join(second), crossed_test(values.minus(base), margin), margin


def _crossed(store: Store, cell: Cell, attack: str, place: int, samples: int) -> Crossed:
    result = store.read(cell.address)
    if result is None or result.tensors is None:
        raise ValueError(f"{cell.label}: its result no longer exists")
    return read_crossed(result.tensors, "right", attack, place, samples)


def deployment_name(substrate: str, mitigation: str | None) -> str:
    """The substrate, with the mitigation if there is one."""
    if substrate == ANN:
        return "ANN twins"
    return substrate if mitigation is None else f"{substrate}, {mitigation}"


def deployed_name(cell: Cell) -> str:
    """The name of the deployment of a cell."""
    return deployment_name(cell.facts["substrate"], cell.facts.get("mitigation"))
