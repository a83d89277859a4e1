"""The statistical parts of an audit's findings: means, verdicts, ladder, power, mitigations, controls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bl_neuro.rounding import ROUNDING

Measure = Literal["hit", "confidence"]
MEASURES: dict[Measure, str] = {"hit": "attack accuracy", "confidence": "confidence"}
"""The measures of leakage in verdicts, with their names in words."""
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]


def _snapped(value: Any) -> Any:
    """Clips a number that rounding moved just outside 0..1."""
    if isinstance(value, float):
        if -ROUNDING <= value < 0.0:
            return 0.0
        if 1.0 < value <= 1.0 + ROUNDING:
            return 1.0
    return value


Fraction = Annotated[float, BeforeValidator(_snapped), Field(ge=0.0, le=1.0)]


class Finding(BaseModel):
    """Base of everything in `Findings`: frozen; unknown fields are ignored; NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Mean(Finding):
    """A mean with its 95% interval over target seeds; with one seed, over its inversions or null."""

    value: Number
    low: Number | None
    high: Number | None
    seeds: Count = Field(description="Number of targets.")
    n: Count = Field(description="Number of inversions, over all targets.")


class Verdict(Finding):
    """Whether two conditions differ: first minus second, on the same target seeds, classes and restarts."""

    verdict: Literal["differs", "equivalent", "inconclusive"] = Field(
        description="equivalent: within the margin. differs: a difference was found, perhaps beyond the margin. "
        "inconclusive: neither was shown."
    )
    found: bool = Field(description="Whether a difference was found, also where it is within the margin.")
    difference: Mean = Field(
        description="First less second, with Student's interval over target seeds, clipped to -1..1; where every "
        "inversion scores the same, the exact interval of 0 among so many seeds."
    )
    bootstrap: Mean = Field(description="The same by the hierarchical bootstrap.")
    standardized: Number | None = Field(description="The difference in units of its sd over seeds.")
    p: Number | None
    adjusted_p: Number | None = Field(description="Of a difference, by Holm's method over the pairs judged together.")
    p_equivalent: Number | None
    adjusted_p_equivalent: Number | None = Field(
        description="Of equivalence within the margin, by Holm's method; 1 without a margin."
    )
    margin: Number | None = Field(
        gt=0,
        description="Largest difference that does not matter, by a rule stated beforehand; null where equivalence is "
        "not asked.",
    )
    identical: bool = Field(description="Whether every inversion scored the same.")
    seeds_needed: Count | None = Field(
        description="Where inconclusive: target seeds for a verdict with 80% power, if all stays as observed; at least "
        "12 after fewer than four."
    )

    @property
    def exact(self) -> bool:
        """Whether both sides compute the same and score the same, so that their difference is 0 without an error."""
        return self.identical and self.difference.low == self.difference.high == 0


class JudgedAttack(Finding):
    """An attack with one output of the target, judged by one evaluator."""

    attack: str
    reveals: str
    evaluator: str


class MeasuredAttack(JudgedAttack):
    """A judged attack by one measure of leakage."""

    measure: Measure


class SubstrateComparison(MeasuredAttack):
    """A verdict on two substrates under one attack, output, evaluator and measure."""

    first: list[str] = Field(min_length=1, description="Substrate; several where all inversions score the same.")
    second: list[str] = Field(min_length=1)
    verdict: Verdict
    sentence: str


class IdenticalSubstrates(JudgedAttack):
    """Substrates on which every inversion of an attack has bit-identical scores."""

    substrates: list[str] = Field(min_length=2)


class LadderLevel(Finding):
    """The measure on one rung of the ladder."""

    rung: str
    substrate: str
    reveals: str
    step: str = Field(description="What is new against the rung before, in words.")
    estimate: Mean


class LadderStep(Finding):
    """The change at one step of deployment: its rung minus the previous one."""

    name: str
    before: str
    change: Verdict
    sentence: str


class LadderFinding(MeasuredAttack):
    """The ladder from the trained network to the revealed output, one step at a time."""

    levels: list[LadderLevel] = Field(min_length=2)
    steps: list[LadderStep] = Field(min_length=1)
    total: Verdict
    sentence: str


class PowerFinding(MeasuredAttack):
    """Which differences between substrates this plan can detect."""

    comparisons: Count = Field(description="Pairs judged together.")
    seeds: Count = Field(description="Independent units: target seeds or, for one given model, restarts.")
    inversions: Count = Field(description="Inversions of each unit.")
    spread: Number = Field(description="Sd of the true difference from unit to unit.")
    within: Number = Field(description="Sd of the difference of one pair of inversions.")
    assumed: bool = Field(description="Whether spread and within are assumed, not measured.")
    smallest_difference: Number = Field(description="Found with probability `power`.")
    smallest_margin: Number = Field(description="Within which equality is found with probability `power`.")
    margin: Number | None = Field(None, description="Of these comparisons; null where equivalence is not asked.")
    equivalence_power: Fraction = Field(description="Probability that equality is found at the margin; 0 without one.")
    power: Fraction


class AccuracyChange(Finding):
    """Accuracy of the targets on test data, without and with a mitigation."""

    without: Fraction | None
    with_: Fraction | None = Field(alias="with")
    lost: Mean | None = Field(description="Without less with.")


class LeakageChange(Finding):
    """Attack accuracy without and with a mitigation."""

    without: Mean
    with_: Mean = Field(alias="with")
    removed: Verdict = Field(description="Without less with.")
    sentence: str


class MitigationFinding(Finding):
    """What a mitigation costs in accuracy and removes of leakage."""

    mitigation: str
    setting: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    accuracy: AccuracyChange | None
    leakage: LeakageChange


class BaselineFinding(Finding):
    """An attacker who asks nothing, judged by one evaluator."""

    baseline: str
    title: str = Field(description="Its name in tables.")
    layout: str | None = Field(description="How its pictures fill the image; null for the prior of an attack.")
    knowledge: str = Field(description="What the attacker is assumed to know.")
    evaluator: str
    attack: str | None = Field(description="Of the prior; null for pictures that no attack made.")
    reveals: str | None
    attack_accuracy: Mean = Field(
        description="Interval over renderings: fonts, draws from public data, or targets without information; and over "
        "evaluators where each target seed has its own."
    )
    rejected: Fraction | None = Field(description="Share of the pictures that the evaluator answers 'none of these'.")

    @property
    def name(self) -> str:
        """Its title, with the layout."""
        return self.title if self.layout is None else f"{self.title}, {self.layout}"


class ReplayFinding(Finding):
    """An attack repeated on another substrate, and whether the result is bit-identical."""

    substrate: str
    of: str
    seed: Count
    attack: str
    reveals: str
    restart: Count
    queries: Count | None
    identical: bool
    differs: list[str] = Field(default_factory=list, description="What was not identical, by name.")


class VerifiedPair(Finding):
    """The spikes of every layer on two substrates, compared bin by bin."""

    substrate: str
    reference: str
    promised: bool = Field(description="Whether the two promise identical spikes.")
    exact: bool = Field(description="Whether all spikes were identical.")
    bins: Count
    identical: Count = Field(description="Bins in which they were.")
    samples: Count
    answers_differ: Count | None = Field(description="Samples with another class.")


class Verification(Finding):
    """A target on several substrates, compared layer by layer on inputs that include inversions."""

    target: str
    seed: Count
    substrates: list[str]
    pairs: list[VerifiedPair]


class ControlFinding(Finding):
    """Attack accuracy on a null control, compared with chance."""

    kind: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    estimate: Mean
    chance: Fraction
    p: Number | None = None
    adjusted_p: Number | None = None
    above_chance: bool | None
    detectable: Fraction | None = Field(
        None,
        description="Smallest attack accuracy that is found above chance with 80% power, if inversions are "
        "independent; null in results that were written before it was computed.",
    )
