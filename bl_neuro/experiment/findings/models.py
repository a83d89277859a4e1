"""What an audit found, as it is written to `results.json`: the models behind `results.schema.json`.

Fractions lie in 0..1. Estimates are means over target seeds with 95% intervals; an end that is not known (of one seed)
is null. Equal cells give equal text, however often a run was cut short: when and how fast they were done is not in it.
A reader ignores what it does not know.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.estimates import (
    Alike,
    Comparison,
    ControlFinding,
    Count,
    Estimate,
    Fraction,
    Ladder,
    Measure,
    Mitigation,
    Number,
    Part,
    Power,
    Replay,
    Verification,
)

FORMAT = "bl-neuro/audit-results/1"
SCHEMA = "results.schema.json"
"""The JSON Schema of `results.json`, beside this module."""


class Range(Part):
    """A mean, the least and the most over targets."""

    value: Fraction
    least: Fraction
    most: Fraction


class Judged(Part):
    """What one evaluator says of a row's inversions."""

    attack_accuracy: Estimate
    confidence: Estimate


class AuditRow(Part):
    """One attack on one substrate, over all target seeds."""

    target: str = Field(description="trained, given, or the kind of control.")
    substrate: str
    attack: str
    reveals: str = Field(description="What the attacker sees; gradient for a white box.")
    access: Literal["white_box", "black_box"] | None = Field(description="null where no cell is done.")
    threat_model: str | None = Field(description="Who the attacker is and what they hold.")
    cells: dict[str, Count] = Field(description="planned, done")
    budget_per_class: Number | None
    queries_per_class: Number | None
    status: dict[str, Count]
    target_accuracy: Range | None
    target_success: Estimate | None
    pearson_selectivity: Estimate | None
    spike_density: Number | None
    evaluators: dict[str, Judged]


class EvaluatorFacts(Part):
    """Who judged."""

    name: str
    address: str = Field(description="Of its cell: equal where evaluators were trained alike, on the same data.")
    weights: str | None = Field(description="SHA-256 of its file; null where it is not trained yet.")
    architecture: str | None
    accuracy: Fraction | None
    samples: Count | None


class Overlap(Part):
    """How much of the target's training data the evaluators were trained or tested on."""

    state: Literal["none", "not known"] = Field(description="none: `shared` is 0.")
    shared: Count | None = Field(description="Samples of evaluators that are among it; null where that is not known.")
    target_samples: Count | None = Field(description="Samples that targets were trained on; null where not known.")
    evaluator_samples: Count = Field(description="Samples that the evaluators were trained on.")
    test_samples: Count = Field(description="Samples that evaluators and targets were tested on.")
    class_means: Literal["training data", "dataset"] = Field(description="Of what the pictures of classes are means.")
    sentence: str


class AuditCurve(Part):
    """A measure against queries a class, over target seeds, of one row under one evaluator."""

    target: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    measure: Measure
    seeds: Count
    queries: list[Number] = Field(min_length=1)
    value: list[Number]
    low: list[Number]
    high: list[Number]


class Verdicts(Part):
    """What an evaluator said of each inversion of a cell, in the order of its classes."""

    hits: list[Annotated[int, Field(ge=0, le=1)]]
    confidence: list[Fraction]


class AuditCell(Part):
    """One attack on one target: its inversions, one a class."""

    address: str = Field(description="Of the cell's files in cells/.")
    target: str
    seed: Count
    substrate: str
    attack: str
    reveals: str
    restart: Count
    rung: str | None = None
    mitigation: str | None = None
    classes: list[Count]
    status: str
    queries: Count
    target_answers: list[int | None] | None = Field(description="Class that the target itself names.")
    evaluators: dict[str, Verdicts]


class Made(Part):
    """With what the cells were done."""

    command: str | None = Field(description="Of the first run; null where it was not recorded.")
    versions: dict[str, list[str]] = Field(description="Of packages; several where cells were done with several.")
    machines: list[str]


class AuditData(Part):
    """The dataset, and what of it is inverted."""

    name: str
    class_names: list[str] = Field(min_length=2)
    inverted: list[Count] = Field(min_length=1, description="Classes, by number.")
    shape: list[Count]

    @property
    def chance(self) -> float:
        """What guessing scores."""
        return 1.0 / len(self.class_names)


class AuditResults(Part):
    """An audit, whole."""

    format: Literal["bl-neuro/audit-results/1"] = "bl-neuro/audit-results/1"
    name: str
    description: str
    dataset: AuditData
    margin: Number
    steps: Count
    seeds: list[Count]
    experiment: dict[str, Any]
    cells: dict[str, Count] = Field(description="planned, done")
    evaluators: list[EvaluatorFacts] = Field(min_length=1, description="The first is the judge.")
    rows: list[AuditRow]
    verdicts: list[Comparison]
    alike: list[Alike]
    ladder: list[Ladder]
    power: list[Power]
    mitigations: list[Mitigation]
    replays: list[Replay]
    verification: list[Verification]
    arithmetic: dict[str, Literal["real", "loihi"] | None] = Field(
        default_factory=dict,
        description="Of each substrate: two of one arithmetic are to spike alike. null where it is not known.",
    )
    stands_for: dict[str, str] = Field(description="Substrates whose replays were all identical, and of which one.")
    controls: list[ControlFinding]
    curves: list[AuditCurve]
    inversions: list[AuditCell]
    made: Made
    not_run: dict[str, str] = Field(
        default_factory=dict,
        description="Substrates that were left out since they are not installed, each with the reason.",
    )
    overlap: Overlap | None = Field(None, description="null in results that were written before it was recorded.")

    @property
    def judge(self) -> str:
        """The first evaluator's name."""
        return self.evaluators[0].name

    def to_json(self) -> str:
        """JSON in one line that ends in a newline; equal results give equal text."""
        return self.model_dump_json(by_alias=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> AuditResults:
        """Results from the text of a `results.json`. ReportError where it holds none; the first problems are told."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            told = [f"{'.'.join(map(str, each['loc'])) or 'results'}: {each['msg']}" for each in found[:5]]
            more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
            raise ReportError(f"not results in the format {FORMAT}: {'; '.join(told)}{more}") from error


def json_schema() -> str:
    """The JSON Schema of `results.json`, as text."""
    schema = AuditResults.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
