"""The model of the comparison of inversions with training samples and other samples."""

from __future__ import annotations

from pydantic import Field

from bl_neuro.experiment.findings.estimates import Count, Finding, Fraction, Mean


class NearestMembersFinding(Finding):
    """How much closer the inversions of a row are to training samples than to other samples of their class."""

    substrate: str
    attack: str
    reveals: str
    auc: Mean = Field(
        description="Probability that a training sample is more like an inversion of its class than a sample that the "
        "target was not trained on: 0.5 if inversions say nothing of single samples. Interval over targets and samples."
    )
    aucs: dict[int, Fraction] = Field(description="AUC of each target, by its seed.")
    members: Count = Field(description="Training samples of each target.")
    others: Count = Field(description="Samples that it was not trained on: those of the evaluators.")
    redrawn: bool = Field(description="Whether each target has samples of its own, instead of one split for all.")
    sentence: str
