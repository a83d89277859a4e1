"""The measures of the cells of `[membership]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bl_neuro.experiment.cell_measures import CellMeasures, Count, Share


class MemberMeasures(CellMeasures):
    """A network trained on a random half of the pool."""

    fingerprint: str = Field(description="SHA-256 of the network.")
    parameters: Count = Field(description="Number of trained parameters.")
    members: Count = Field(description="Number of samples that it was trained on.")


class AnswersMeasures(CellMeasures):
    """What one network answers about every sample of the pool, by output of a metered black box."""

    queries: Count = Field(
        description="Number of queries to the box of each output, one per sample and ask. An attacker sees one output, "
        "so these are not queries of one attacker."
    )
    members_right: dict[str, Share] = Field(description="Share of the answers about members that name the right class.")
    others_right: dict[str, Share] = Field(description="The same for the other samples.")


class MemberReplayMeasures(CellMeasures):
    """The same queries to one network on two substrates of the same arithmetic."""

    samples: Count = Field(description="Number of samples that were asked about.")
    queries: Count = Field(description="Number of queries to the box of each output, on either substrate.")
    identical: bool = Field(description="Whether every answer is the same in every bit.")
    differs: list[str] = Field(description="The outputs for which it is not.")


Interval = Annotated[list[float], Field(min_length=3, max_length=3)]
"""A mean over targets and the ends of its 95% interval."""


class SeparationMeasures(CellMeasures):
    """How well one attack separates members from other samples, over all targets."""

    attack: str
    shadows: str = Field(description="right: trained as the targets; wrong: trained with other settings.")
    targets: Count
    auc: Interval
    tpr_at_01: Interval = Field(description="True-positive rate at a false-positive rate of at most 0.1%.")
    tpr_at_1: Interval = Field(description="True-positive rate at a false-positive rate of at most 1%.")
    balanced_accuracy: Interval = Field(description="At the best threshold of each target.")
    null_auc: Interval = Field(description="The same scores judged by the members of another network: chance is .5.")
    null_tpr_at_1: Interval
    epsilon: Interval = Field(description="Lower bounds on the epsilon of differential privacy, 95% each.")
    false: list[Share] = Field(description="False-positive rates of the mean ROC curve.")
    true: list[Share] = Field(description="True-positive rates of the mean ROC curve.")


class MembershipMeasures(CellMeasures):
    """All attacks on one deployment through one kind of answer and ask, each network being the target in turn."""

    samples: Count = Field(description="Size of the pool.")
    queries: Count = Field(description="Number of queries to each target.")
    attacks: list[SeparationMeasures]
