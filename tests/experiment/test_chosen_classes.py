"""`[dataset] classes`: targets, evaluators and tests have no sample of any other class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bl_neuro.data import load_dataset
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.definition import DatasetPart, Experiment
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.training_data import of_given_target


def material(classes: list[int] | None) -> Material:
    dataset = {"name": "digits", **({} if classes is None else {"classes": classes})}
    return Material(
        Experiment.model_validate({"name": "some", "substrates": ["loihi"], "dataset": dataset}), Place(Path())
    )


def test_only_the_chosen_classes_take_part() -> None:
    some, every = material([7, 3, 5]), material(None)
    assert (some.class_names, some.classes, some.class_map) == (("7", "3", "5"), [0, 1, 2], [0, 1, 2])
    parts = (some.split.target, some.split.evaluator, some.split.test)
    digits = load_dataset("digits")
    assert sum(len(part.labels) for part in parts) == int(np.isin(digits.labels, [7, 3, 5]).sum())
    own = some.split.test
    kept = {image.tobytes() for image in digits.images[digits.labels == 7]}
    assert all(image.tobytes() in kept for image in own.images[own.labels == 0])
    assert some.definition["classes"] == [7, 3, 5]
    assert "classes" not in every.definition  # whose results keep their addresses
    assert some.definition["digest"] != every.definition["digest"]


def test_classes_that_cannot_be_chosen() -> None:
    with pytest.raises(ExperimentError, match=r"dataset\.classes: expected at least two different classes in 0\.\.9"):
        material([0, 10])
    part = DatasetPart(name="digits", classes=[0, 1])
    with pytest.raises(ExperimentError, match="dataset: classes: only for targets that the audit trains"):
        of_given_target(load_dataset("digits"), part, None, Path())
