"""The models of `results.json`, from which `results.schema.json` is generated.

Fractions are in 0..1. Estimates are means over target seeds (for a given model, over restarts; see `Findings.unit`)
with 95% intervals; an unknown end of an interval, as with one seed, is null. Equal results give equal text, even if an
audit was interrupted: times are not included. Readers ignore unknown fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError, field_validator

from bl_neuro.checks import expectation
from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.estimates import (
    BaselineFinding,
    ControlFinding,
    Count,
    Finding,
    Fraction,
    IdenticalSubstrates,
    LadderFinding,
    Mean,
    Measure,
    MitigationFinding,
    Number,
    PowerFinding,
    ReplayFinding,
    SubstrateComparison,
    Verification,
)
from bl_neuro.experiment.findings.halfway_models import HalfwayFinding
from bl_neuro.experiment.findings.margins import EvaluatorMargin
from bl_neuro.experiment.findings.membership import MembershipFindings
from bl_neuro.experiment.findings.nearest_members_models import NearestMembersFinding
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.experiment.findings.secrets_models import SecretsFinding
from bl_neuro.experiment.overlap import Overlap

FORMAT: Literal["bl-neuro/audit-results/1"] = "bl-neuro/audit-results/1"
SCHEMA = "results.schema.json"
"""The JSON Schema of `results.json`, beside this module."""
RESULTS = "results.json"
OWN = ("trained", "given")
"""Targets that have training data that can leak; all others are controls."""


class AccuracyRange(Finding):
    """Mean, minimum and maximum over targets."""

    value: Fraction
    least: Fraction
    most: Fraction
    samples: Count | None = Field(None, description="Of each target; null in results of before it was recorded.")


class EvaluatorMeasures(Finding):
    """How one evaluator judges the inversions of a row."""

    attack_accuracy: Mean
    confidence: Mean
    rejected: Fraction | None = Field(
        None, description="Share of the inversions for which the evaluator answers 'none of these'."
    )
    baseline: str | None = Field(
        None,
        description="The attacker who asks nothing with the highest attack accuracy; null where none was measured.",
    )
    knowledge: str | None = Field(None, description="What that attacker is assumed to know.")
    baseline_accuracy: Mean | None = Field(None, description="Attack accuracy of that attacker.")
    advantage: Mean | None = Field(
        None, description="Attack accuracy less that of that attacker, with the interval of independent estimates."
    )


class CellCount(Finding):
    """Number of planned cells and of finished cells."""

    planned: Count
    done: Count


class AuditRow(Finding):
    """One attack on one substrate, over all target seeds."""

    target: str = Field(description="trained, given, or the kind of control.")
    substrate: str
    attack: str
    reveals: str = Field(description="What the attacker sees; gradient for a white box.")
    access: Literal["white_box", "black_box", "ann"] | None = Field(description="null where no cell is done.")
    threat_model: str | None = Field(description="Who the attacker is and what they hold.")
    cells: CellCount
    budget_per_class: Number | None
    queries_per_class: Number | None
    status: dict[str, Count]
    target_accuracy: AccuracyRange | None
    target_success: Mean | None
    pearson_selectivity: Mean | None
    spike_density: Number | None
    evaluators: dict[str, EvaluatorMeasures]

    @property
    def name(self) -> tuple[str, str, str, str]:
        """Target, substrate, attack and output; unique among the rows of an audit."""
        return self.target, self.substrate, self.attack, self.reveals

    @property
    def own(self) -> bool:
        """Whether its targets have training data that can leak, which is not the case for controls."""
        return self.target in OWN


class EvaluatorFacts(Finding):
    """One evaluator and how good it is; means and joint digests where each target seed has its own."""

    name: str
    address: str = Field(description="Of its cell: equal where evaluators were trained alike, on the same data.")
    weights: str | None = Field(description="SHA-256 of its file; null where it is not trained yet.")
    trained: Count = Field(1, description="Number of its trainings: one for all targets, or one for each target seed.")
    architecture: str | None
    accuracy: Fraction | None
    samples: Count | None
    trained_on: Literal["evaluator", "target"] = Field(
        "evaluator", description="Part of the data; target: the samples that the targets were trained on."
    )
    certain_by: str | None = Field(None, description="What its certainty is, in words.")
    rejects_below: Number | None = Field(
        None, description="Certainty below which it answers 'none of these': the 5% quantile on its test samples."
    )


class AuditCurve(Finding):
    """A measure against queries per class, over target seeds, of one row under one evaluator.

    The last point is the row: its final inversions. Earlier points judge the spike rates reached by then.
    """

    target: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    measure: Measure
    seeds: Count
    queries: list[Number] = Field(min_length=1)
    value: list[Number]
    low: list[Number | None] = Field(description="Of the 95% interval; null where too few are known.")
    high: list[Number | None]


class InversionJudgement(Finding):
    """One evaluator's judgement of each inversion of a cell, in the order of its classes."""

    hits: list[Annotated[int, Field(ge=0, le=1)]]
    confidence: list[Fraction]


class AuditCell(Finding):
    """One attack on one target: its inversions, one per class."""

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
    evaluators: dict[str, InversionJudgement]


class Provenance(Finding):
    """How the cells were made: the command, the versions and the machines."""

    command: str | None = Field(description="Of the first run; null where it was not recorded.")
    versions: dict[str, list[str]] = Field(description="Of packages; several where cells were done with several.")
    machines: list[str]
    restarted: list[str] = Field(
        default_factory=list,
        description="Trainings that started anew because their checkpoint was damaged, each with the damage.",
    )


class DatasetFacts(Finding):
    """The dataset, and which of its classes are inverted."""

    name: str
    class_names: list[str] = Field(min_length=2)
    inverted: list[Count] = Field(min_length=1, description="Classes, by number.")
    shape: list[Count]
    source: str | None = Field(None, description="Where it comes from, in a sentence; null where that is not known.")

    @property
    def chance(self) -> float:
        """The attack accuracy of guessing."""
        return 1.0 / len(self.class_names)


class NetworkFacts(Finding):
    """The attacked network: its layers, and how it was trained."""

    layers: list[str] = Field(description="One line per layer: its kind and shapes.")
    input_shape: list[Count]
    parameters: Count
    fingerprints: list[str] = Field(description="SHA-256 of the network of each target seed that is done.")
    encoder: str | None = Field(description="How samples become inputs; null for events, which are inputs.")
    training: str | None = Field(description="How the targets were trained, in a sentence; null for a given model.")


class AttackName(Finding):
    """The part of an `[[attacks]]` table that names the attack."""

    attack: str
    label: str | None = None


class EndpointFacts(Finding):
    """An endpoint that was a substrate of the audit."""

    name: str
    url: str


ENDPOINTS = TypeAdapter(list[EndpointFacts])
ATTACK_NAMES = TypeAdapter(list[AttackName])
"""The endpoints and attacks of an experiment, without their other settings."""
Unit = Literal["target seed", "restart"]
"""The independent unit: trained targets or, for one given model, restarts of an attack."""


class Findings(Finding):
    """All findings of an audit."""

    format: Literal["bl-neuro/audit-results/1"] = FORMAT
    name: str
    description: str
    dataset: DatasetFacts
    margin: Number | None = Field(description="Of the first evaluator; null where equivalence is not asked.")
    margins: list[EvaluatorMargin] = Field(default_factory=list, description="The margin under each evaluator.")
    steps: Count
    seeds: list[Count]
    experiment: dict[str, JsonValue] = Field(description="The experiment file, with all defaults.")
    cells: CellCount
    evaluators: list[EvaluatorFacts] = Field(description="The first is the judge; empty where no inversion is judged.")
    rows: list[AuditRow]
    verdicts: list[SubstrateComparison]
    alike: list[IdenticalSubstrates]
    ladder: list[LadderFinding]
    power: list[PowerFinding]
    mitigations: list[MitigationFinding]
    replays: list[ReplayFinding]
    verification: list[Verification]
    arithmetic: dict[str, str | None] = Field(
        default_factory=dict,
        description="Of each substrate: real for floating point, loihi for Loihi's integers, or one that the backend "
        "of another package declares. Two substrates of one arithmetic are to spike alike. null where it is not known.",
    )
    stands_for: dict[str, str] = Field(description="Substrates whose replays were all identical, and of which one.")
    controls: list[ControlFinding]
    curves: list[AuditCurve]
    inversions: list[AuditCell]
    made: Provenance
    overlap: Overlap | None = Field(None, description="null in results that were written before it was recorded.")
    network: NetworkFacts | None = Field(None, description="null where no target is done, and for an endpoint.")
    unit: Unit = Field(
        "target seed",
        description="What intervals and verdicts are over, and `seeds` and `seeds_needed` count. restart: of one given "
        "model, so that they are about this model alone.",
    )
    baselines: list[BaselineFinding] = Field(
        default_factory=list, description="Attackers who ask nothing, under every evaluator."
    )
    baselines_left_out: dict[str, str] = Field(
        default_factory=dict, description="Baselines that do not apply to this audit, and why."
    )
    auxiliary: str | None = Field(None, description="The public data of the attacker, in a sentence; null for none.")
    not_run: dict[str, str] = Field(default_factory=dict, description="Substrates that were left out, and why.")
    membership: MembershipFindings | None = Field(None, description="null without [membership].")
    secrets: SecretsFinding | None = Field(None, description="null where no secret was planted.")
    halfway: list[HalfwayFinding] = Field(
        default_factory=list, description="Substrates at the budget at which each attack is halfway; see its model."
    )
    nearest_members: list[NearestMembersFinding] = Field(
        default_factory=list, description="Whether inversions resemble training samples more than other samples."
    )
    families: list[ComparisonFamily] = Field(
        default_factory=list, description="The comparisons that are tested together, as declared by the plan."
    )
    families_digest: str | None = Field(None, description="Of the families; `--plan` prints the same.")
    further_power: list[MeasurePower] = Field(default_factory=list, description="Of membership and planted secrets.")

    @field_validator("experiment")
    @classmethod
    def _names_its_parts(cls, experiment: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            ENDPOINTS.validate_python(experiment.get("endpoints") or [])
        except ValidationError as error:
            raise ValueError("endpoints: expected a list of tables, each with a name and a url") from error
        try:
            ATTACK_NAMES.validate_python(experiment.get("attacks") or [])
        except ValidationError as error:
            raise ValueError("attacks: expected a list of tables, each with an attack") from error
        return experiment

    @property
    def attack_names(self) -> dict[str, str]:
        """The registered name of each attack, by its label in tables."""
        parts = ATTACK_NAMES.validate_python(self.experiment.get("attacks") or [])
        return {part.label or part.attack: part.attack for part in parts}

    @property
    def endpoints(self) -> list[EndpointFacts]:
        """The endpoints that the experiment names."""
        return ENDPOINTS.validate_python(self.experiment.get("endpoints") or [])

    @property
    def judge(self) -> str:
        """Name of the first evaluator; empty if there is none."""
        return self.evaluators[0].name if self.evaluators else ""

    def margin_under(self, evaluator: str) -> float | None:
        """The margin under one evaluator; results of before each had its own have one for all."""
        return next(
            (one.margin for one in self.margins if one.evaluator == evaluator), None if self.margins else self.margin
        )

    @property
    def of_given_model(self) -> bool:
        """Whether the audit attacks one given model instead of trained targets."""
        return self.unit == "restart"

    @property
    def redrawn(self) -> bool | None:
        """Whether each target seed has its own samples and evaluators; None in results of before there was a choice."""
        dataset = self.experiment.get("dataset")
        redraw = dataset.get("redraw") if isinstance(dataset, dict) else None
        return redraw if isinstance(redraw, bool) else None

    @property
    def own_rows(self) -> list[AuditRow]:
        """Rows of targets that have training data that can leak: all except controls."""
        return [row for row in self.rows if row.own]

    @property
    def substrates(self) -> list[str]:
        """The distinct substrates of `own_rows`. ANN twins have none."""
        return list(dict.fromkeys(row.substrate for row in self.own_rows if row.access != "ann"))

    @property
    def training_data_known(self) -> bool:
        """Whether the training data of the targets is known."""
        if self.overlap is None:
            return not any(row.target == "given" for row in self.rows)
        return self.overlap.state == "none"

    def shared_arithmetic(self, substrates: Sequence[str]) -> str | None:
        """The common arithmetic of all `substrates`; None if they differ or it is unknown."""
        kinds = {self.arithmetic.get(name) for name in substrates}
        return kinds.pop() if len(kinds) == 1 else None

    def equal_by_construction(self, substrates: Sequence[str]) -> bool:
        """Whether `substrates` must score the same: they share an arithmetic, or one replaces the others."""
        originals = {self.stands_for.get(name, name) for name in substrates}
        return len(originals) == 1 or self.shared_arithmetic(substrates) is not None

    def is_evidence(self, comparison: SubstrateComparison) -> bool:
        """Whether a comparison is informative: the arithmetics differ, or the substrates differ unexpectedly."""
        expected = self.equal_by_construction([*comparison.first, *comparison.second])
        return not expected or comparison.verdict.verdict == "differs"

    def to_json(self) -> str:
        """Converts to JSON on one line that ends in a newline. Equal findings give equal text.

        Fields that were missing in the file that the findings were read from are left out, so that reading and writing
        a file does not change it.
        """
        return self.model_dump_json(by_alias=True, exclude_unset=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Findings:
        """Reads findings from the text of a `results.json`.

        Raises:
            ReportError: the text is invalid; the message lists the first problems.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            named = [
                f"{'.'.join(map(str, problem['loc'])) or 'results'}: {expectation(problem)}" for problem in problems[:5]
            ]
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise ReportError(f"expected results in the format {FORMAT}: {'; '.join(named)}{more}") from error


def json_schema() -> str:
    """The JSON Schema of `results.json`, as text."""
    schema = Findings.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
