"""Evaluators are not trained on the known training samples of a given model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bl_neuro.data import Dataset, shared_split, three_way_split, whole_split
from bl_neuro.data.split import NOT_KNOWN
from bl_neuro.errors import DataError, ExperimentError
from bl_neuro.experiment.definition import DatasetPart
from bl_neuro.experiment.given_model import _split_kind
from bl_neuro.experiment.training_data import of_given_target, of_trained_targets

TRAINING, HELD_OUT, CLASSES = 60, 40, 2


@pytest.fixture
def data() -> Dataset:
    """The first samples are the official training part; every image is its index, as a fraction."""
    count = TRAINING + HELD_OUT
    images = (np.arange(count) / count).reshape(-1, 1, 1, 1)
    return Dataset(
        "made up", "nowhere", images, np.arange(count) % CLASSES, ("a", "b"), held_out=np.arange(count) >= TRAINING
    )


def indices(part: Dataset) -> set[int]:
    return set(np.round(part.images.ravel() * (TRAINING + HELD_OUT)).astype(int).tolist())


def test_official_splits_stay_within_the_official_test_part(data: Dataset, tmp_path: Path) -> None:
    for trained_on, state in ((None, "not known"), ("train", "none")):
        training = of_given_target(data, DatasetPart(name="x", split="official"), trained_on, tmp_path)
        evaluator, test = indices(training.split.evaluator), indices(training.split.test)
        assert evaluator | test == set(range(TRAINING, TRAINING + HELD_OUT))
        assert not evaluator & test
        assert training.overlap.state == state
        assert training.overlap.shared == (None if trained_on is None else 0)
        assert (training.overlap.evaluator_samples, training.overlap.test_samples) == (24, 16)


def test_unstated_training_data_is_unknown(data: Dataset, tmp_path: Path) -> None:
    training = of_given_target(data, DatasetPart(name="x"), None, tmp_path)
    assert training.split.note == NOT_KNOWN
    assert "is not known" in training.overlap.sentence
    assert "--trained-on" in training.overlap.sentence
    assert training.overlap.class_means == "dataset"
    assert training.split.target is data  # of which the class means are


def test_stated_samples_are_left_out(data: Dataset, tmp_path: Path) -> None:
    used = np.random.default_rng(0).permutation(TRAINING + HELD_OUT)[:50]
    np.save(tmp_path / "used.npy", used)
    training = of_given_target(data, DatasetPart(name="x"), "used.npy", tmp_path)
    evaluator, test = indices(training.split.evaluator), indices(training.split.test)
    assert not (evaluator | test) & set(used.tolist())
    assert len(evaluator) + len(test) == 50
    assert indices(training.split.target) == set(used.tolist())
    assert (training.overlap.shared, training.overlap.target_samples) == (0, 50)
    assert training.overlap.class_means == "training data"
    assert "the 50 samples of made up that used.npy lists" in training.overlap.sentence
    again = of_given_target(data, DatasetPart(name="x", split="official"), "used.npy", tmp_path)
    assert indices(again.split.evaluator) | indices(again.split.test) == (
        set(range(TRAINING, TRAINING + HELD_OUT)) - set(used.tolist())
    )
    assert training.definition["trained_on"] not in ("used.npy", "not known")


def test_means_of_the_dataset_stand_in_where_a_class_was_not_trained_on(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "used.txt").write_text("0 2 4 6")
    training = of_given_target(data, DatasetPart(name="x"), "used.txt", tmp_path)
    assert training.overlap.class_means == "dataset"
    assert training.split.target is data


def test_too_few_samples_and_wrong_sizes_are_refused(data: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "most.npy", np.flatnonzero(data.labels == 0))
    with pytest.raises(DataError, match=r"class . has . samples that evaluators may use, too few"):
        of_given_target(data, DatasetPart(name="x"), "most.npy", tmp_path)
    np.save(tmp_path / "all.npy", np.arange(100))
    with pytest.raises(
        DataError, match=r"expected at least 4 samples per class outside .* found 0 in all; add samples"
    ):
        of_given_target(data, DatasetPart(name="x"), "all.npy", tmp_path)
    with pytest.raises(ExperimentError, match="target: a given model or endpoint is not trained"):
        of_given_target(data, DatasetPart(name="x", split="official", target=3), None, tmp_path)
    with pytest.raises(ExperimentError, match="sizes are only for an official split"):
        of_given_target(data, DatasetPart(name="x", evaluator=3), None, tmp_path)
    own = Dataset("own", "nowhere", data.pixels, data.labels, data.class_names)
    with pytest.raises(DataError, match=r"trained_on: own has no official training set, .* give a file of the indices"):
        of_given_target(own, DatasetPart(name="x"), "train", tmp_path)


def test_targets_trained_here_share_nothing(data: Dataset) -> None:
    split = three_way_split(data, 0)
    overlap = of_trained_targets(split).overlap
    assert (overlap.state, overlap.shared, overlap.class_means) == ("none", 0, "training data")
    assert not indices(split.target) & (indices(split.evaluator) | indices(split.test))


def test_a_model_is_audited_within_a_large_official_test_part(data: Dataset) -> None:
    assert _split_kind(data, None) == "three-way"  # 20 test samples a class are too few
    large = data.subset(np.repeat(np.arange(TRAINING + HELD_OUT), 3))
    assert _split_kind(large, None) == "official"
    assert _split_kind(data, "train") == "official"
    assert _split_kind(large, "used.npy") == "three-way"


def test_evaluators_on_the_targets_samples_are_named(data: Dataset) -> None:
    overlap = of_trained_targets(three_way_split(data, 0), ["own"]).overlap
    assert overlap.state == "none"
    assert "But own learned from the targets' own samples" in overlap.sentence


def test_splits_that_share_samples_are_reported(data: Dataset) -> None:
    shared, whole = (of_trained_targets(split(data)).overlap for split in (shared_split, whole_split))
    assert (shared.state, shared.shared, shared.test_samples) == ("all", TRAINING, HELD_OUT)
    assert "trained on the same samples, and tested on 40 others" in shared.sentence
    assert (whole.state, whole.shared, whole.test_samples) == ("all", TRAINING + HELD_OUT, TRAINING + HELD_OUT)
    assert whole.sentence.endswith("measures no leakage.")


@pytest.mark.parametrize("kind", ["shared", "whole"])
def test_a_given_model_shares_no_split(data: Dataset, tmp_path: Path, kind: str) -> None:
    part = DatasetPart.model_validate({"name": "x", "split": kind})
    with pytest.raises(ExperimentError, match="expected three-way or official"):
        of_given_target(data, part, None, tmp_path)
