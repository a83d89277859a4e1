"""What an audit says of the samples that its evaluators share with the targets, and of its pictures of classes."""

from __future__ import annotations

from bl_neuro.experiment.findings.models import Findings


def not_known(results: Findings) -> bool:
    """Whether it is not known what the target was trained on."""
    if results.overlap is None:
        return any(row.target == "given" for row in results.rows)
    return results.overlap.state == "not known"


def overlap_sentence(results: Findings) -> str:
    """How much of the target's training data the evaluators share."""
    if results.overlap is not None:
        return results.overlap.sentence
    if not_known(results):
        return (
            "The training data of the model is not known, and so it is not known how much of it the evaluators share."
        )
    return "The evaluators were trained on samples that the targets were not trained on."


def has_training_means(results: Findings) -> bool:
    """Whether the mean pictures of classes are means of the target's training data."""
    return not not_known(results) and (results.overlap is None or results.overlap.class_means == "training data")


def mean_of_class(results: Findings, name: str) -> str:
    """What the mean picture of the class called `name` is."""
    if has_training_means(results):
        return f"Mean training picture of class {name}"
    return f"Class mean of the dataset {results.dataset.name}, class {name}"
