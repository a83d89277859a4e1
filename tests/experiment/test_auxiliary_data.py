"""The attacker's public data: its form, its classes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bl_neuro.errors import DataError, ExperimentError
from bl_neuro.experiment.auxiliary_data import load_auxiliary, resized
from bl_neuro.experiment.auxiliary_part import AuxiliaryPart
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.material import Material, Place

BASE = {
    "name": "small",
    "seeds": 1,
    "substrates": ["loihi"],
    "dataset": {"name": "digits"},
    "evaluators": [{"kind": "conv"}],
    "attacks": [{"attack": "v1"}],
}


def written(path: Path, count: int) -> Path:
    """Colour images of 4 x 6 pixels of the classes "1", " B " and "7"."""
    pixels = np.random.default_rng(0).random((count, 3, 4, 6))
    names = np.array(["1", " B ", "7"])
    np.savez(path, images=pixels, labels=np.arange(count) % 3, class_names=names)
    return path


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    return written(tmp_path / "letters.npz", 12)


def test_images_take_the_shape_of_the_targets_and_labels_the_numbers_of_their_classes(letters: Path) -> None:
    part = AuxiliaryPart(name=letters.name)
    auxiliary = load_auxiliary(part, letters.parent, None, (1, 8, 8), ["7", "b", "x", "1"])
    assert auxiliary.images.shape == (12, 1, 8, 8)
    assert auxiliary.images.dtype == np.float32
    assert auxiliary.labels == (3, 1, 0) * 4
    assert auxiliary.classes == [0, 1, 3]
    assert np.array_equal(auxiliary.images, resized(auxiliary.originals, (1, 8, 8)))
    assert 0 <= auxiliary.images.min() <= auxiliary.images.max() <= 1
    assert "resized from 4×6 to 8×8 pixels; 3 of their classes have the name" in auxiliary.sentence
    other = load_auxiliary(part, letters.parent, None, (1, 8, 8), ["7", "b", "x"])
    assert other.labels == (None, 1, 0) * 4
    assert np.array_equal(other.images, auxiliary.images)
    assert other.digest != auxiliary.digest
    same = load_auxiliary(part, letters.parent, None, (1, 8, 8), ["7", "b", "y", "1"])
    assert same.digest == auxiliary.digest


def test_resizing_keeps_brightness_and_leaves_fitting_images_as_they_are() -> None:
    images = np.random.default_rng(1).random((3, 2, 16, 16)).astype(np.float32)
    assert np.array_equal(resized(images, (2, 16, 16)), images)
    halved = resized(images, (2, 8, 8))
    assert np.allclose(halved.mean(axis=(2, 3)), images.mean(axis=(2, 3)), atol=0.01)
    grey = resized(images, (3, 16, 16))
    assert np.allclose(grey, images.mean(axis=1, keepdims=True).repeat(3, axis=1), atol=1e-6)


def test_some_samples_are_drawn_from_the_whole_set(letters: Path) -> None:
    part = AuxiliaryPart(name=letters.name, samples=6)
    auxiliary = load_auxiliary(part, letters.parent, None, (3, 4, 6), ["1", "B", "7"])
    whole = load_auxiliary(AuxiliaryPart(name=letters.name), letters.parent, None, (3, 4, 6), ["1", "B", "7"])
    places = [int(np.flatnonzero((whole.images == image).all(axis=(1, 2, 3)))[0]) for image in auxiliary.images]
    assert len(places) == 6 == len(set(places))
    assert places == sorted(places) != list(range(6))
    assert [whole.labels[place] for place in places] == list(auxiliary.labels)


def test_the_material_has_public_data_only_where_the_experiment_does(letters: Path) -> None:
    assert Material(experiment_from(BASE), Place(letters.parent)).auxiliary is None
    document = {**BASE, "auxiliary": {"name": letters.name}}
    material = Material(experiment_from(document), Place(letters.parent))
    assert material.auxiliary is not None
    assert material.auxiliary.images.shape == (12, 1, 8, 8)
    assert material.definition == Material(experiment_from(BASE), Place(letters.parent)).definition


def test_the_dataset_of_the_targets_is_no_public_data(letters: Path) -> None:
    with pytest.raises(ExperimentError, match=r"auxiliary.name: expected public data other than the targets' dataset"):
        experiment_from({**BASE, "auxiliary": {"name": "digits"}})
    written(letters, 60)
    both = experiment_from({**BASE, "dataset": {"name": letters.name}, "auxiliary": {"name": f"./{letters.name}"}})
    with pytest.raises(ExperimentError, match=r"found .* for both"):
        _ = Material(both, Place(letters.parent)).auxiliary


def test_wrong_sizes_and_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"auxiliary.size: "):
        experiment_from({**BASE, "auxiliary": {"name": "mnist", "size": [8, 8]}})
    missing = experiment_from({**BASE, "auxiliary": {"name": "absent.npz"}})
    with pytest.raises(DataError, match=r"absent\.npz"):
        _ = Material(missing, Place(tmp_path)).auxiliary
