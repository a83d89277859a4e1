"""The measures of each kind of cell: what its work computes, the store keeps, and the findings read.

They are checked when a result is written and when it is read. Equal measures give equal text in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, ValidationError

from bl_neuro.attacks import Status
from bl_neuro.attacks.base import Access
from bl_neuro.checks import expectation
from bl_neuro.experiment.cell_measures import CellMeasures, Count, CountedMeasures, Hit, Probability, Share
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.membership_measures import (
    AnswersMeasures,
    MemberMeasures,
    MemberReplayMeasures,
    MembershipMeasures,
)
from bl_neuro.experiment.secrets_measures import (
    SecretAccuracyMeasures,
    SecretGuessMeasures,
    SecretReaderMeasures,
    SecretTargetMeasures,
)


class TargetMeasures(CellMeasures):
    """A trained or given network; None for an endpoint, whose network is not known."""

    fingerprint: str | None = Field(description="SHA-256 of the network.")
    parameters: Count | None = Field(description="Number of trained parameters.")


class TwinMeasures(CellMeasures):
    """An ANN twin of a target."""

    architecture: str = Field(description="Its layers, in words.")


class TrainedEvaluatorMeasures(CellMeasures):
    """A trained evaluator."""

    architecture: str = Field(description="Its layers, in words.")
    classes: Count = Field(description="Number of classes that it tells apart.")
    spiking: bool
    accuracy: Share = Field(description="On the test part.")
    samples: Count = Field(description="Size of the test part.")
    rejects_below: float | None = Field(
        None,
        description="Certainty below which it answers 'none of these'; None in results of before this was measured.",
    )


class RungMeasures(CellMeasures):
    """A partially deployed target."""

    fingerprint: str = Field(description="SHA-256 of the network.")
    step: str = Field(description="What is new against the rung before, in words.")


class ChangedMeasures(CellMeasures):
    """A network changed by a mitigation."""

    fingerprint: str = Field(description="SHA-256 of the network.")


class AccuracyMeasures(CellMeasures):
    """The test accuracy of a target or twin, or of a black box (a cell of kind "service")."""

    accuracy: Share
    samples: Count = Field(description="Number of tested samples.")


class AttackMeasures(CountedMeasures):
    """An attack. Lists have one entry per inversion, in the order of the classes in the definition."""

    _counted = ("target_answers", "pearson_selectivity", "ssim")

    access: Access
    status: Annotated[Status, Field(strict=False)] = Field(description="How the attack ended.")
    queries: Count = Field(description="Number of queries for all inversions together.")
    answers: str | None = Field(description="SHA-256 of all queries and answers; None without a black box.")
    assumptions: list[str] = Field(description="What the attack assumes about inputs.")
    target_answers: list[Count | None] | None = Field(
        description="Class that the target assigns to each inversion, None if no output spikes. None instead of the "
        "list for an endpoint, and for a target that reveals no label."
    )
    pearson_selectivity: list[float] = Field(
        description="Correlation with the mean image of the own class, less the largest one with another class: -2..2."
    )
    ssim: list[float] | None = Field(
        description="Structural similarity to the mean image of the class, -1..1; None for small images."
    )
    spike_density: Share = Field(description="Fraction of the bins of all inversions that contain a spike.")


class Course(CountedMeasures):
    """The progress of an attack under an evaluator, at the stored entries of its trace; empty without a trace."""

    _counted = ("queries", "hits", "confidence")

    queries: list[Count] = Field(description="Queries so far, for all inversions together; increasing.")
    hits: list[Share] = Field(description="Fraction of inversions that are hits.")
    confidence: list[Probability] = Field(description="Mean confidence over the inversions.")


class JudgementMeasures(CountedMeasures):
    """An evaluator's judgement of the inversions of an attack. Lists have one entry per inversion."""

    _counted = ("classes", "hits", "top3", "confidence", "rejected")

    classes: list[Count] = Field(description="The inverted classes.")
    hits: list[Hit] = Field(description="Whether the evaluator ranks the class first.")
    top3: list[Hit] = Field(description="Whether the class is among the first three.")
    confidence: list[Probability] = Field(description="The evaluator's probability of the class.")
    daa: Share | None = Field(description="Differential attack accuracy; None with fewer than two classes.")
    course: Course
    rejected: list[Hit] | None = Field(
        None, description="Whether the evaluator answers 'none of these'; None where it has no threshold."
    )


class BaselineMeasures(CellMeasures):
    """The pictures of a zero-query baseline."""

    renderings: Annotated[int, Field(ge=1)] = Field(description="Number of pictures of each class.")
    images: str = Field(description="SHA-256 of the pictures.")


class BaselineJudgementMeasures(CountedMeasures):
    """An evaluator's judgement of the pictures of a baseline. Lists have one entry per picture, by rendering."""

    _counted = ("classes", "hits", "confidence", "rejected")

    renderings: Annotated[int, Field(ge=1)]
    classes: list[Count] = Field(description="The classes of the pictures.")
    hits: list[Hit] = Field(description="Whether the evaluator ranks the class first.")
    confidence: list[Probability] = Field(description="The evaluator's probability of the class.")
    rejected: list[Hit] | None = Field(description="Whether it answers 'none of these'; None without a threshold.")


class ReplayMeasures(CellMeasures):
    """An attack repeated on another substrate."""

    identical: bool = Field(description="Whether the replay is identical bit by bit.")
    differs: list[str] = Field(description="The parts that differ: inversions, course, queries, status, answers.")
    queries: Count = Field(description="Number of queries for all inversions together.")


class InputMeasures(CellMeasures):
    """How two substrates compare on one kind of input."""

    name: str
    samples: Count
    bins: Count = Field(description="Number of compared bins: time steps x samples x neurons of all layers.")
    identical: Count = Field(description="Number of bins that agree.")
    answers_differ: Count | None = Field(description="Samples with another class; None if a class is not revealed.")


class PairMeasures(CellMeasures):
    """How the spikes of all layers on two substrates compare."""

    substrate: str
    reference: str
    promised: bool = Field(description="Whether the two promise identical spikes.")
    exact: bool = Field(description="Whether every bin agrees.")
    bins: Count = Field(description="Number of compared bins: time steps x samples x neurons of all layers.")
    identical: Count = Field(description="Number of bins that agree.")
    samples: Count
    answers_differ: Count | None = Field(description="Samples with another class; None if a class is not revealed.")
    inputs: list[InputMeasures]


class VerificationMeasures(CellMeasures):
    """One target on several substrates, compared layer by layer."""

    substrates: list[str] = Field(description="Those that took part.")
    declined: dict[str, str] = Field(description="Those that could not, with the reason.")
    steps: Count = Field(description="Number of time steps.")
    silent_layers: list[Count] = Field(description="Layers that never spiked on any substrate.")
    broken: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        description="Pairs of substrates that promise identical spikes, and differ."
    )
    pairs: list[PairMeasures]


Measures = Mapping[str, CellMeasures]
"""Measures of finished cells, by address."""
M = TypeVar("M", bound=CellMeasures, covariant=True)


@dataclass(frozen=True)
class CellKind(Generic[M]):
    """A kind of cells and the model of their measures."""

    name: str
    model: type[M]

    def finished(self, cells: Sequence[Cell], measures: Measures) -> list[tuple[Cell, M]]:
        """The finished cells of this kind among `cells`, in order, each with its measures."""
        own = [(cell, self.of(cell, measures)) for cell in cells if cell.kind == self.name]
        return [(cell, measured) for cell, measured in own if measured is not None]

    def of(self, cell: Cell, measures: Measures) -> M | None:
        """The measures of a cell of this kind; None if it is not finished."""
        measured = measures.get(cell.address)
        return None if measured is None else self.typed(measured)

    def typed(self, measured: CellMeasures) -> M:
        """`measured`, which must belong to a cell of this kind."""
        if not isinstance(measured, self.model):
            raise TypeError(f"{self.name}: expected {self.model.__name__}, found {type(measured).__name__}")
        return measured


TARGET = CellKind("target", TargetMeasures)
TWIN = CellKind("twin", TwinMeasures)
EVALUATOR = CellKind("evaluator", TrainedEvaluatorMeasures)
RUNG = CellKind("rung", RungMeasures)
CHANGED = CellKind("changed", ChangedMeasures)
ACCURACY = CellKind("accuracy", AccuracyMeasures)
SERVICE = CellKind("service", AccuracyMeasures)
ATTACK = CellKind("attack", AttackMeasures)
JUDGEMENT = CellKind("judgement", JudgementMeasures)
REPLAY = CellKind("replay", ReplayMeasures)
VERIFICATION = CellKind("verification", VerificationMeasures)
MEMBER = CellKind("member", MemberMeasures)
MEMBER_TWIN = CellKind("member_twin", TwinMeasures)
ANSWERS = CellKind("answers", AnswersMeasures)
MEMBER_REPLAY = CellKind("member_replay", MemberReplayMeasures)
MEMBERSHIP = CellKind("membership", MembershipMeasures)
BASELINE = CellKind("baseline", BaselineMeasures)
BASELINE_JUDGEMENT = CellKind("baseline_judgement", BaselineJudgementMeasures)
SHUFFLED = CellKind("shuffled_weights", ChangedMeasures)
SECRET_TARGET = CellKind("secret_target", SecretTargetMeasures)
SECRET_TWIN = CellKind("secret_twin", TwinMeasures)
SECRET_ACCURACY = CellKind("secret_accuracy", SecretAccuracyMeasures)
SECRET_READER = CellKind("secret_reader", SecretReaderMeasures)
SECRET_INFORMED = CellKind("secret_informed", SecretGuessMeasures)
SECRET_ATTACK = CellKind("secret_attack", AttackMeasures)
SECRET_READING = CellKind("secret_reading", SecretGuessMeasures)
KINDS: tuple[CellKind[CellMeasures], ...] = (
    TARGET,
    TWIN,
    EVALUATOR,
    RUNG,
    CHANGED,
    ACCURACY,
    SERVICE,
    ATTACK,
    JUDGEMENT,
    REPLAY,
    VERIFICATION,
    MEMBER,
    MEMBER_TWIN,
    ANSWERS,
    MEMBER_REPLAY,
    MEMBERSHIP,
    BASELINE,
    BASELINE_JUDGEMENT,
    SHUFFLED,
    SECRET_TARGET,
    SECRET_TWIN,
    SECRET_ACCURACY,
    SECRET_READER,
    SECRET_INFORMED,
    SECRET_ATTACK,
    SECRET_READING,
)
MODELS: dict[str, type[CellMeasures]] = {kind.name: kind.model for kind in KINDS}


def model_of(definition: Mapping[str, Any]) -> type[CellMeasures]:
    """The model of the measures of a cell with this definition.

    The definition of a changed network may have a kind of its own, which its mitigation chooses.
    """
    return MODELS.get(str(definition["kind"]), ChangedMeasures)


def misfit(error: ValidationError) -> str:
    """The first problem of measures that do not fit their model."""
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'measures'}: {expectation(problem)}"
