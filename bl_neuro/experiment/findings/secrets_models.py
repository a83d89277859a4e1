"""The findings on planted secrets, as in `results.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bl_neuro.experiment.findings.estimates import Count, Finding, Fraction, Mean, Number, Verdict


class SecretBits(Finding):
    """Information about the secret of one class in a guess, in bits, with the 95% interval of the recovered share."""

    value: Number
    low: Number | None
    high: Number | None


class SecretAccuracy(Finding):
    """Accuracy of the targets on test data with their secrets, on one substrate: mean, minimum and maximum."""

    substrate: str
    value: Fraction
    least: Fraction
    most: Fraction


class InformedFinding(Finding):
    """An attacker who does not invert: it asks about every possible secret with public images of the class."""

    substrate: str
    reveals: str
    images: Count = Field(description="Public images per class and choice.")
    queries: Number = Field(description="Per class.")
    recovered: Mean
    exposure: Mean
    mismatched: Mean | None = Field(description="As in `SecretRow`.")


class SecretRow(Finding):
    """One attack with one budget on one substrate, over all targets."""

    substrate: str
    attack: str
    reveals: str = Field(description="What the attacker sees; gradient for a white box.")
    access: Literal["white_box", "black_box", "ann"]
    budget: Count | None = Field(description="Queries per class, including a start that classes share; null for none.")
    queries: Number = Field(description="Per class, as spent; for a white box, number of inputs that it ran.")
    recovered: Mean = Field(description="Share of the secrets that the reader reads from the inversions.")
    bits: SecretBits
    exposure: Mean = Field(description="In bits, by the rank of the true secret (Carlini et al. 2019).")
    informed: InformedFinding | None = Field(
        description="The informed attacker that sees the same (for a white box, the most) and asks at most as much."
    )
    over_guessing: Mean = Field(description="Recovered share less that of guessing, which needs no query.")
    advantage: Mean = Field(description="Recovered share less that of the better of guessing and `informed`, paired.")
    over: Literal["guessing", "informed"] = Field(description="Which of the two is better.")
    mismatched: Mean | None = Field(
        description="How often the guesses match the secrets of another target, which should be chance; null for one."
    )


class SecretComparison(Finding):
    """A verdict on two substrates under one attack and output, over all budgets together."""

    attack: str
    reveals: str
    first: str = Field(description="Substrate; several of one arithmetic that score the same are joined by 'and'.")
    second: str
    verdict: Verdict
    sentence: str


class SecretTwinComparison(Finding):
    """A verdict on spiking targets and their ANN twins under one attack and output, over all budgets together."""

    attack: str = Field(description="On the spiking targets; informed for the informed attackers.")
    twin_attack: str = Field(description="On the twins; another one where gradients are used.")
    reveals: str
    substrate: str = Field(description="Of the spiking targets: the first of the experiment.")
    recovered: Fraction = Field(description="Share of the secrets on spiking targets, mean over budgets.")
    twin_recovered: Fraction
    accuracy: Fraction | None = Field(description="Of the spiking targets on test data with their secrets.")
    twin_accuracy: Fraction | None
    verdict: Verdict = Field(description="Spiking targets less twins.")


class SecretRepetition(Finding):
    """What is recovered of canaries that were among the training samples equally often."""

    substrate: str
    attack: str | None = Field(description="null for the informed attacker.")
    reveals: str
    queries: Number = Field(description="Per class.")
    copies: Count = Field(description="How often a canary is among the training samples.")
    recovered: Mean
    exposure: Mean


class SecretsFinding(Finding):
    """What attacks recover of secrets that were planted in the training data."""

    kind: str
    secret: str = Field(description="What is secret, in words.")
    choices: Count = Field(description="Number of possible secrets of a class.")
    chance: Fraction = Field(description="Of guessing right: the zero-query baseline.")
    bits: Number = Field(description="Information in the secret of one class.")
    classes: Count = Field(description="Number of attacked classes, each with a secret.")
    ceiling: Fraction | None = Field(description="How often the reader reads a test image right; null if unfinished.")
    accuracy: list[SecretAccuracy]
    margin: Number = Field(gt=0, description="Of comparisons: a share of the range from chance to the ceiling.")
    rows: list[SecretRow]
    informed: list[InformedFinding]
    comparisons: list[SecretComparison]
    twins: list[SecretTwinComparison] = Field(description="Empty without ANN twins.")
    guessed_exposure: Number = Field(description="Mean exposure if the true secret has a random rank.")
    repetitions: list[SecretRepetition] = Field(
        description="Of the informed attacker and every attack with most queries; empty for secrets of whole classes."
    )
