"""What a plan says before the run, as in `results.json`: families of comparisons, and power of further measures."""

from __future__ import annotations

from pydantic import Field

from bl_neuro.experiment.findings.estimates import Count, Finding, Fraction, Number
from bl_neuro.leakage.power import POWER

HOLM = "Holm's method"


class ComparisonFamily(Finding):
    """Comparisons that are tested together, in each of several families with the same comparisons."""

    question: str
    judged_by: list[str] = Field(min_length=1, description="One family for each: measures, under each evaluator.")
    comparisons: list[str] = Field(description="In words; first less second.")
    collapsed: Count = Field(description="Comparisons that are identical by construction, and therefore not counted.")
    correction: str = HOLM


class MeasurePower(Finding):
    """Which differences between deployments a plan can detect in one measure of membership or of planted secrets."""

    question: str = Field(description="membership or secrets.")
    view: str = Field(description="Output, or attack and output.")
    measure: str
    comparisons: Count = Field(description="Tested together.")
    units: Count = Field(description="Targets.")
    error: Number = Field(description="Standard error of a difference.")
    assumed: bool = Field(description="Whether the error is assumed, not measured.")
    margin: Number = Field(gt=0)
    smallest_difference: Number = Field(description="Found with probability `power`.")
    smallest_bits: Number | None = Field(
        description="The same for secrets, in bits of one class, down from the assumed or measured share."
    )
    smallest_margin: Number = Field(description="Within which equality is found with probability `power`.")
    equivalence_power: Fraction = Field(description="Probability that equality is found at the margin.")
    power: Fraction = POWER
