"""The numbers of one run, as they are written to `results.json`: typed, frozen and checked.

Fractions lie in 0..1 and are not percentages. Every interval is a 95% interval over the inversions of one
target: it says nothing about what another target, trained from another seed, would give. A measure that was
not taken, or is not defined for a row, is null; NaN and infinity are refused, as JSON has no such numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.functional_validators import AfterValidator

from bl_neuro.errors import ReportError

FORMAT = "bl-neuro/results/1"
ROUNDING = 1e-9  # how far floating point may carry a fraction outside 0..1 before it counts as an error
REVEALS = ("membrane", "scores", "spikes", "counts", "label")


def _snapped(value: Any) -> Any:
    """A number that rounding carried just outside 0..1 (an interval's end, say), put back on the edge."""
    if isinstance(value, float):
        if -ROUNDING <= value < 0.0:
            return 0.0
        if 1.0 < value <= 1.0 + ROUNDING:
            return 1.0
    return value


def _dated(value: str) -> str:
    """The text itself, if it is an ISO 8601 date and time that says its offset from UTC."""
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))  # Python 3.10 does not read the Z
    if moment.tzinfo is None:
        raise ValueError("expected an offset from UTC, such as +00:00")
    return value


Fraction = Annotated[float, BeforeValidator(_snapped), Field(ge=0.0, le=1.0)]
Correlation = Annotated[float, Field(ge=-1.0 - ROUNDING, le=1.0 + ROUNDING)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, StringConstraints(min_length=1)]
Attack = Literal["v1", "v2", "v2_gradient", "ann", "cma_es", "one_plus_one", "random", "transfer"]
Access = Literal["white_box", "black_box"]
ControlKind = Literal["shuffled_labels", "untrained"]


class _Record(BaseModel):
    """Frozen; an unknown field, NaN or infinity is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Curve(_Record):
    """The evaluator's confidence while an attack spends its queries; four lists of one length, 1 or more."""

    queries: list[float] = Field(
        min_length=1,
        description="Queries per class spent so far, shared ones divided by the classes; rising, 0 or more.",
    )
    confidence: list[Fraction] = Field(
        description="Evaluator's mean probability of the inverted class, over the inversions, 0..1."
    )
    low: list[Fraction] = Field(description="Lower end of its 95% interval, 0..1.")
    high: list[Fraction] = Field(description="Upper end of its 95% interval, 0..1.")

    @model_validator(mode="after")
    def _consistent(self) -> Curve:
        lengths = {len(self.queries), len(self.confidence), len(self.low), len(self.high)}
        if len(lengths) > 1:
            raise ValueError(f"expected lists of one length, found lengths {sorted(lengths)}")
        if self.queries[0] < 0 or any(b <= a for a, b in pairwise(self.queries)):
            raise ValueError("queries must rise from 0 or more")
        for low, middle, high in zip(self.low, self.confidence, self.high, strict=True):
            _ordered(low, middle, high, "confidence")
        return self


def _ordered(low: float, middle: float, high: float, name: str) -> None:
    """ValueError unless an estimate lies inside its own interval."""
    if not low - ROUNDING <= middle <= high + ROUNDING:
        raise ValueError(f"{name}: expected low <= value <= high, found {low} <= {middle} <= {high}")


class Row(_Record):
    """One attack on one target on one substrate: what it got out, and what it cost."""

    dataset: Text = Field(description="Name of the dataset; the same as the results' own.")
    substrate: Text = Field(description="What the target runs on: snntorch, norse, slayer, lava, loihi, ...")
    attack: Attack = Field(
        description="v1, v2 (queries only), v2_gradient (as first published), ann (no spikes), cma_es, one_plus_one "
        "and random (other searches, to compare with), or transfer (a leaked copy first)."
    )
    access: Access = Field(description="white_box (the attacker runs it and has gradients) or black_box (queries).")
    reveals: Text | None = Field(
        description="What the attacker is shown. Black box: membrane, scores, spikes, counts or label. "
        "White box: gradient, or null."
    )
    target_accuracy: Fraction = Field(description="Accuracy of the target on its test samples, 0..1.")
    target_test_samples: int = Field(ge=1, description="Test samples behind target_accuracy.")
    attack_accuracy: Fraction = Field(
        description="Fraction of inversions for which the evaluator ranks the inverted class first, 0..1."
    )
    attack_accuracy_low: Fraction = Field(description="Lower end of its 95% interval, 0..1.")
    attack_accuracy_high: Fraction = Field(description="Upper end of its 95% interval, 0..1.")
    top3_accuracy: Fraction = Field(
        description="Fraction of inversions for which the class is among the evaluator's first three, 0..1."
    )
    confidence: Fraction = Field(description="Evaluator's mean probability of the inverted class, 0..1.")
    daa: Fraction | None = Field(
        description="Fraction of classes whose own inversion scores highest for them among all inversions, "
        "0..1. It saturates: never read it alone."
    )
    pearson_selectivity: float | None = Field(
        ge=-2.0 - ROUNDING,
        le=2.0 + ROUNDING,
        description="Correlation with the mean picture of the own class, less the best with another, -2..2.",
    )
    ssim: Correlation | None = Field(description="Mean structural similarity to the own class's mean picture, -1..1.")
    spike_density: Fraction | None = Field(
        description="Fraction of input bins that spike in the inversions, 0..1; null for a network without spikes."
    )
    target_success: Fraction | None = Field(
        description="Fraction of inversions which the target itself answers with the class, 0..1. "
        "Attack success, nearly uninformative about leakage."
    )
    queries_per_class: float = Field(
        ge=0.0,
        description="Runs of the target per class, shared ones divided by the classes; for a white box, runs "
        "with a gradient.",
    )
    seconds: float = Field(ge=0.0, description="Wall-clock time of the attack on all classes and restarts, in seconds.")
    n: int = Field(ge=1, description="Inversions judged, over all classes and restarts.")
    seed: Count = Field(description="Seed of the attack, 0 or more.")
    restarts: int = Field(ge=1, description="Independent inversions of each class, 1 or more.")
    status: dict[str, Count] = Field(description="How many inversions ended in each status; they sum to n.")
    threat_model: Text = Field(description="Who the attacker is and what they hold, in one or two sentences.")
    curve: Curve | None = Field(description="Confidence against queries; null where it was not followed.")
    inversions: Text = Field(description="Prefix of this row's tensors in inversions.safetensors.")

    @model_validator(mode="after")
    def _consistent(self) -> Row:
        _ordered(self.attack_accuracy_low, self.attack_accuracy, self.attack_accuracy_high, "attack_accuracy")
        if self.top3_accuracy < self.attack_accuracy - ROUNDING:
            raise ValueError("top3_accuracy cannot be below attack_accuracy")
        if self.access == "white_box" and self.reveals not in (None, "gradient"):
            raise ValueError(f"reveals: a white box shows the gradient, found {self.reveals!r}")
        if self.access == "black_box" and self.reveals not in REVEALS:
            raise ValueError(f"reveals: expected one of {', '.join(REVEALS)}, found {self.reveals!r}")
        if sum(self.status.values()) != self.n:
            raise ValueError(f"status: counts sum to {sum(self.status.values())}, expected n = {self.n}")
        return self


class Control(Row):
    """An attack on targets that never saw a true label, pooled: what it scores is no leakage of the classes."""

    targets: int = Field(default=1, ge=1, description="Targets that were trained so, and attacked, 1 or more.")
    kind: ControlKind = Field(
        description="shuffled_labels (trained on the same samples with labels shuffled) or untrained."
    )


class Dataset(_Record):
    """What the target was trained and judged on."""

    name: Text = Field(description="Name of the dataset.")
    source: Text = Field(description="Where the data came from.")
    classes: int = Field(ge=2, description="Number of classes; 1 / classes is what guessing scores.")
    splits: dict[str, Count] = Field(description="Samples in each split, by the split's name.")


class NetworkInfo(_Record):
    """The attacked network."""

    fingerprint: Text = Field(description="Content hash of the network, the same on every substrate.")
    input_shape: list[int] = Field(min_length=1, description="Shape of one step of input, without time.")
    layers: list[str] = Field(min_length=1, description="One line for each layer, input side first.")
    parameters: Count = Field(description="Number of synaptic weights.")
    steps: int = Field(ge=1, description="Time steps a sample is shown for.")
    encoder: Text = Field(description="How a picture becomes spikes.")
    training: Text | None = Field(default=None, description="How it was trained; null where that is not known.")


class Evaluator(_Record):
    """An independent classifier that judges inversions."""

    name: Text = Field(description="Its name in this report.")
    architecture: Text = Field(description="Its layers, in words.")
    test_accuracy: Fraction = Field(description="Its accuracy on real test samples, 0..1.")
    test_samples: int = Field(ge=1, description="Test samples behind test_accuracy.")
    trained_on: Text = Field(description="The samples it learned from, and whether the target saw them.")


class Results(_Record):
    """Everything one run found. The first evaluator is the judge whose verdicts the rows hold."""

    format: Literal["bl-neuro/results/1"] = Field(default="bl-neuro/results/1", description="Of this file.")
    command: Text = Field(description="The command line that made this, without paths of one machine.")
    created: Annotated[Text, AfterValidator(_dated)] = Field(description="When, in ISO 8601 with its offset from UTC.")
    seed: Count = Field(description="The run's own seed, 0 or more, from which the others are drawn.")
    versions: dict[str, str] = Field(description="Versions of bl-neuro, Python and the packages used.")
    platform: dict[str, str] = Field(description="System, processor and the like.")
    dataset: Dataset = Field(description="What the target was trained and judged on.")
    network: NetworkInfo = Field(description="The attacked network.")
    evaluators: list[Evaluator] = Field(min_length=1, description="Who judged: the first, for the rows.")
    rows: list[Row] = Field(min_length=1, description="One for each substrate and attack, as ordered.")
    controls: list[Control] = Field(description="The same attacks on targets that never saw a true label.")
    notes: list[str] = Field(description="What else a reader should know, a sentence or two each.")

    @model_validator(mode="after")
    def _consistent(self) -> Results:
        keys = [row.inversions for row in self.all_rows()]
        if len(set(keys)) < len(keys):
            raise ValueError("inversions: two rows name the same tensors")
        for row in self.all_rows():
            if row.dataset != self.dataset.name:
                raise ValueError(f"dataset: a row says {row.dataset!r}, the results {self.dataset.name!r}")
        return self

    def all_rows(self) -> Iterator[Row]:
        """The rows, then the controls."""
        yield from self.rows
        yield from self.controls

    @property
    def chance(self) -> float:
        """The attack accuracy that guessing scores: one over the number of classes."""
        return 1.0 / self.dataset.classes

    def to_json(self) -> str:
        """Indented JSON that ends in a newline; equal results give equal text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Results:
        """Results from the text of a `results.json`.

        Raises:
            ReportError: it is not JSON, of another format, or breaks a range; all problems are listed.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'results'}: {item['msg']}"
                for item in error.errors(include_url=False, include_context=False)
            )
            raise ReportError(f"not results in the format {FORMAT}: {problems}") from error
