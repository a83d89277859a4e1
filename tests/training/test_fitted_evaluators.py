"""The evaluators that scikit-learn fits: their arrays answer as scikit-learn does, also from their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from bl_neuro.data import Dataset, Samples, Split
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.seeding import derived_seed
from bl_neuro.training import load_evaluator, train_evaluator
from bl_neuro.training.rejection import rejected, rejection_threshold


def vectors(data: Samples) -> Any:
    """Images as vectors of mean 0 and deviation 1, float32."""
    flat = data.images.reshape(len(data.labels), -1)
    normal = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    return normal.astype(np.float32)


def without(data: Samples, label: int) -> Samples:
    return data.subset(np.flatnonzero(data.labels != label))


@pytest.mark.parametrize("missing", [None, 4])
def test_the_machine_decides_as_scikit_learn(split: Split, missing: int | None) -> None:
    data = split.evaluator if missing is None else without(split.evaluator, missing)
    judge = train_evaluator(data, kind="svm", penalty=5.0)
    machine = SVC(C=5.0, decision_function_shape="ovo", break_ties=False).fit(vectors(data), data.labels)
    images = split.test.images
    np.testing.assert_allclose(judge.features(images), machine.decision_function(vectors(split.test)), atol=1e-3)
    machine = SVC(C=5.0, break_ties=True).fit(vectors(data), data.labels)
    table = judge.probabilities(images)
    assert (table.argmax(1) == machine.predict(vectors(split.test))).mean() > 0.995
    if missing is not None:
        assert not table[:, missing].any()


def test_a_machine_of_two_classes_has_the_right_sign(split: Split) -> None:
    two = split.evaluator.subset(np.flatnonzero(np.isin(split.evaluator.labels, (3, 8))))
    judge = train_evaluator(two, kind="svm")
    assert judge.accuracy(split.test.subset(np.flatnonzero(np.isin(split.test.labels, (3, 8))))) > 0.95


def test_the_forest_answers_as_scikit_learn_to_the_last_comparison(split: Split) -> None:
    data = without(split.evaluator, 2)
    judge = train_evaluator(data, kind="forest", trees=30, seed=4)
    seed = derived_seed(4, "train evaluator forest")
    inputs = np.asarray(judge.normalised(_frames(data)))
    forest = RandomForestClassifier(30, random_state=seed).fit(inputs, data.labels)
    tested = np.asarray(judge.normalised(_frames(split.test)))
    table = judge.probabilities(split.test.images)
    np.testing.assert_allclose(table[:, forest.classes_], forest.predict_proba(tested), atol=1e-6)
    assert not table[:, 2].any()


def _frames(data: Samples) -> Any:
    import torch

    return torch.as_tensor(data.images[None], dtype=torch.float32)


def test_neighbours_vote_as_in_scikit_learn(split: Split) -> None:
    judge = train_evaluator(split.evaluator, kind="neighbours", neighbours=5)
    other = KNeighborsClassifier(5, weights="distance").fit(vectors(split.evaluator), split.evaluator.labels)
    table = judge.probabilities(split.test.images)
    np.testing.assert_allclose(table, other.predict_proba(vectors(split.test)), atol=1e-3)
    distances, _ = other.kneighbors(vectors(split.test), 1)
    np.testing.assert_allclose(judge.certainty(split.test.images), -distances[:, 0], atol=1e-4)


@pytest.mark.parametrize("kind", ["svm", "forest", "neighbours"])
def test_five_percent_of_real_images_are_rejected_and_noise_nearly_always(kind: str, split: Split) -> None:
    judge = train_evaluator(split.evaluator, kind=kind)
    assert judge.accuracy(split.test) > 0.9
    threshold = rejection_threshold(judge, split.test)
    real = rejected(judge, split.test.images, threshold)
    assert real is not None
    assert 0.03 < np.mean(real) <= 0.06
    noise = rejected(judge, np.random.default_rng(0).random((50, 1, 8, 8)), threshold)
    assert noise is not None
    assert np.mean(noise) > 0.7
    assert rejected(judge, split.test.images, None) is None


@pytest.mark.parametrize("kind", ["svm", "forest", "neighbours"])
def test_brightness_and_contrast_do_not_matter(kind: str, split: Split) -> None:
    judge = train_evaluator(split.evaluator, kind=kind)
    images = split.test.images[:50]
    np.testing.assert_allclose(judge.probabilities(0.25 + 0.5 * images), judge.probabilities(images), atol=0.1)


def test_large_images_are_averaged_over_blocks() -> None:
    rng = np.random.default_rng(0)
    small = rng.random((20, 1, 20, 30))
    data = Dataset("large", "made up", small.repeat(3, 2).repeat(3, 3), np.arange(20) % 2, ("a", "b"))
    judge = train_evaluator(data, kind="neighbours")
    assert tuple(judge.state_dict()["samples"].shape) == (20, 20 * 30)
    assert judge.accuracy(data) == 1.0


def test_images_that_would_shrink_to_nothing_are_refused() -> None:
    data = Dataset("thin", "made up", np.random.default_rng(0).random((8, 1, 200, 2)), np.arange(8) % 2, ("a", "b"))
    with pytest.raises(InputError, match="at least 1 pixel per side"):
        train_evaluator(data, kind="svm")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("svm", {"penalty": 0.0}), ("svm", {"epochs": 3}), ("forest", {"trees": 0}), ("neighbours", {"neighbours": 0})],
)
def test_invalid_settings_are_refused(kind: str, settings: dict[str, Any], few: Split) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        train_evaluator(few.evaluator, kind=kind, **settings)


@pytest.mark.parametrize(
    ("kind", "fact", "value"),
    [
        ("svm", "present", "0,1,99"),
        ("svm", "present", "1,0"),
        ("svm", "vectors", "0"),
        ("forest", "depth", "999999"),
        ("forest", "nodes", "99999999999"),
        ("neighbours", "neighbours", "1000"),
    ],
)
def test_files_with_impossible_facts_are_refused(kind: str, fact: str, value: str, few: Split, tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    judge = train_evaluator(few.evaluator, kind=kind)
    judge.save(path)
    facts = {"format": "bl-neuro/evaluator/2", "kind": kind, "shape": "1,8,8", "classes": "10", **judge.facts()}
    save_file(load_file(path), path, metadata={**facts, fact: value})
    with pytest.raises(ModelFileError):
        load_evaluator(path)


def test_a_forest_with_impossible_numbers_of_nodes_answers_without_reading_beyond_its_arrays(
    few: Split, tmp_path: Path
) -> None:
    path = tmp_path / "judge.safetensors"
    judge = train_evaluator(few.evaluator, kind="forest", trees=3)
    judge.save(path)
    arrays = load_file(path)
    arrays["below"] += 10_000
    arrays["pixel"] -= 500
    facts = {"format": "bl-neuro/evaluator/2", "kind": "forest", "shape": "1,8,8", "classes": "10", **judge.facts()}
    save_file(arrays, path, metadata=facts)
    assert load_evaluator(path).probabilities(few.test.images).shape == (len(few.test.labels), 10)
