"""The models of the comparison of substrates at the query budget at which an attack is halfway."""

from __future__ import annotations

from pydantic import Field

from bl_neuro.experiment.findings.estimates import (
    Count,
    Finding,
    Fraction,
    JudgedAttack,
    Mean,
    Measure,
    Number,
    Verdict,
)


class HalfwayLevel(Finding):
    """Attack accuracy on one substrate at the halfway budget."""

    substrate: str
    attack_accuracy: Mean


class HalfwayComparison(Finding):
    """A verdict on two substrates at the halfway budget."""

    measure: Measure
    first: list[str] = Field(min_length=1, description="Substrate; several where all inversions score the same.")
    second: list[str] = Field(min_length=1)
    verdict: Verdict
    sentence: str


class HalfwayFinding(JudgedAttack):
    """The budget at which an attack is halfway from its floor to its final attack accuracy, and what it reaches there.

    The budget is the first one on the course of the attack at which attack accuracy, averaged over substrates with each
    arithmetic counted once, reaches the middle. It is the same on all substrates and favours none of them.
    """

    floor: Fraction = Field(
        description="The highest of guessing, null controls, and attackers who ask nothing; without the latter where "
        "they reach the final attack accuracy."
    )
    floor_of: str = Field(description="What has this attack accuracy, in words.")
    final: Fraction = Field(description="Mean over substrates, with each arithmetic counted once.")
    queries: Number | None = Field(
        description="The budget per class, in queries or, for white boxes, runs; null where the attack ends at or "
        "below its floor."
    )
    at_start: bool = Field(description="Whether the first entry of the course is already halfway or beyond.")
    seeds: Count = Field(description="Independent units.")
    levels: list[HalfwayLevel] = Field(default_factory=list)
    comparisons: list[HalfwayComparison] = Field(default_factory=list)
