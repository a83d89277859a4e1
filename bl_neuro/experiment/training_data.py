"""The training data of the attacked target, if known, and a split that keeps it from evaluators."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import IntArray
from bl_neuro.data import Split, three_way_split
from bl_neuro.data.sample_indices import read_sample_indices
from bl_neuro.data.split import NOT_KNOWN, SHARED, WHOLE, divided, official_parts
from bl_neuro.errors import DataError, ExperimentError
from bl_neuro.experiment.definition import DatasetPart
from bl_neuro.experiment.overlap import Overlap

OFFICIAL_TRAINING = "train"
"""The name of the official training set in `trained_on`."""
REDRAWN = (
    "Each target seed drew these samples anew and trained evaluators of its own on them, so that intervals cover the "
    "target's training, the samples and the judge."
)
FEWEST = 4
"""Minimum number of samples per class for evaluators: two to train and two to test on."""


@dataclass(frozen=True)
class TrainingData:
    """The split of an audit's data, and how much of the target's training data its evaluators share.

    definition: what results depend on beyond the dataset and the kind of split; empty if the audit trains its targets.
    """

    split: Split[Any]
    overlap: Overlap
    definition: dict[str, Any]


def of_trained_targets(split: Split[Any], on_target_data: Sequence[str] = (), redraw: bool = False) -> TrainingData:
    """The training data of targets that the audit trains itself.

    on_target_data: names of evaluators that are trained on the part of the targets. redraw: whether each target draws
    a split of its own, of the same sizes as `split`.
    """
    sizes = split.sizes()
    trained = f"The targets were trained on {_samples(sizes['target'])}. "
    state, shared = "none", 0
    if split.note in (SHARED, WHOLE):
        state, shared = "all", sizes["evaluator"]
        tests = "and tested on them" if split.note == WHOLE else f"and tested on {sizes['test']:,} others"
        sentence = f"{trained}The evaluators were trained on the same samples, {tests}."
        if split.note == WHOLE:
            sentence += " This tries out the pipeline and measures no leakage."
    else:
        sentence = (
            f"{trained}The evaluators were trained on {sizes['evaluator']:,} others and tested on "
            f"{sizes['test']:,} others: they share none."
        )
        if on_target_data:
            names = " and ".join(on_target_data)
            sentence += f" But {names} learned from the targets' own samples, as in the BrainLeaks paper."
    if redraw:
        sentence += f" {REDRAWN}"
    means = "dataset" if redraw else "training data"
    return TrainingData(split, _overlap(state, sizes, sizes["target"], shared, means, sentence), {})


def of_given_target(data: Any, part: DatasetPart, trained_on: str | None, folder: Path) -> TrainingData:
    """The training data of a model or an endpoint that was trained elsewhere.

    If `trained_on` states the training data, evaluators and tests use other samples only. Otherwise they use the
    official test set for an official split, and any samples for a three-way split.

    Raises:
        DataError: the stated samples cannot be read, or too few samples are left. ExperimentError: sizes that do not
            fit.
    """
    if part.target is not None:
        raise ExperimentError("dataset: target: a given model or endpoint is not trained; leave the size out")
    if part.classes is not None:
        raise ExperimentError(
            "dataset: classes: only for targets that the audit trains; leave it out, and choose the classes to invert "
            "with `classes` of the experiment"
        )
    if part.split in ("shared", "whole"):
        raise ExperimentError(
            f"dataset: split: expected three-way or official for a given model or endpoint, found {part.split}"
        )
    if trained_on is None:
        return _not_stated(data, part)
    if trained_on == OFFICIAL_TRAINING:
        try:
            trained, _ = official_parts(data)
        except DataError as error:
            raise DataError(
                f"trained_on: {data.name} has no official training set, or its files were not loaded; instead of "
                "'train', give a file of the indices of the training samples"
            ) from error
        stated = f"on the official training part of {data.name}, {_samples(len(trained))}"
    else:
        trained = read_sample_indices(folder / trained_on, len(data.labels))
        stated = f"on the {_samples(len(trained))} of {data.name} that {Path(trained_on).name} lists"
    allowed = official_parts(data)[1] if part.split == "official" else np.arange(len(data.labels))
    rest = np.setdiff1d(allowed, trained)
    if len(rest) < FEWEST * data.classes:
        raise DataError(
            f"trained_on: expected at least {FEWEST} samples per class outside the training data of the model, for "
            f"evaluators, found {len(rest)} in all; add samples to the dataset that the model was not trained on, or "
            "leave trained_on out, and the report says that the training data is not known"
        )
    for_evaluator, for_test = divided(data, rest, part.split_seed, part.evaluator, part.test)
    shared = int(np.isin(np.concatenate([for_evaluator, for_test]), trained).sum())
    every_class = len(np.unique(data.labels[trained])) == data.classes
    pictured = data.subset(trained) if every_class else data
    split = Split(pictured, data.subset(for_evaluator), data.subset(for_test))
    sentence = (
        f"The user of this audit states that the model was trained {stated}. The evaluators were trained on "
        f"{_samples(len(for_evaluator))} and tested on {len(for_test):,} others; {shared} of these are among the "
        "stated training data."
    )
    means = "training data" if every_class else "dataset"
    overlap = _overlap("none", split.sizes(), len(trained), shared, means, sentence)
    return TrainingData(split, overlap, {"trained_on": _digest(trained)})


def _not_stated(data: Any, part: DatasetPart) -> TrainingData:
    not_known = (
        "The training data of the model is not known, and so it is not known how much of it the evaluators share. They "
        "were trained on "
    )
    if part.split == "official":
        _, held = official_parts(data)
        for_evaluator, for_test = divided(data, held, part.split_seed, part.evaluator, part.test)
        split = Split(data, data.subset(for_evaluator), data.subset(for_test), NOT_KNOWN)
        sentence = (
            f"{not_known}{_samples(len(for_evaluator))} of the official test part of {data.name} and tested on "
            f"{len(for_test):,} others of it: they share none if the model was trained on the official training part."
        )
    else:
        if part.evaluator is not None or part.test is not None:
            raise ExperimentError("dataset: evaluator, test: sizes are only for an official split; leave them out")
        parts = three_way_split(data, part.split_seed)
        split = Split(data, parts.evaluator, parts.test, NOT_KNOWN)
        sizes = split.sizes()
        sentence = (
            f"{not_known}{_samples(sizes['evaluator'])} of {data.name} and tested on {sizes['test']:,} others, any of "
            "which the model may have been trained on. State its training data with --trained-on, or with trained_on "
            "in [model], to keep them apart."
        )
    return TrainingData(
        split, _overlap("not known", split.sizes(), None, None, "dataset", sentence), {"trained_on": "not known"}
    )


def _overlap(
    state: str, sizes: dict[str, int], trained: int | None, shared: int | None, means: str, sentence: str
) -> Overlap:
    return Overlap.model_validate(
        {
            "state": state,
            "shared": shared,
            "target_samples": trained,
            "evaluator_samples": sizes["evaluator"],
            "test_samples": sizes["test"],
            "class_means": means,
            "sentence": sentence,
        }
    )


def _samples(count: int) -> str:
    return f"{count:,} {'sample' if count == 1 else 'samples'}"


def _digest(indices: IntArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(indices, dtype="<i8").tobytes()).hexdigest()
