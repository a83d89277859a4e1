"""Kinds of planted secrets: what they change, that they can be undone, and that they are seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro.data import Dataset
from bl_neuro.errors import InputError
from bl_neuro.experiment.secrets_plants import PLANTS, Canary, Mark, Mirror, Permutation, Plant, Rotation
from bl_neuro.experiment.secrets_reader import examples
from bl_neuro.settings import with_settings

CLASSES = 3


def made_up(shape: tuple[int, ...] = (1, 8, 8), kind: Any = np.float64) -> Dataset:
    """Random images of three classes, two of each."""
    pixels = np.random.default_rng(5).integers(0, 255, (2 * CLASSES, *shape))
    values = pixels.astype(np.uint8) if kind is np.uint8 else pixels / 255.0
    names = tuple("abc")
    return Dataset("made up", "made up", values, np.arange(2 * CLASSES) % CLASSES, names)


@pytest.mark.parametrize("plant", [kind() for kind in PLANTS.values()], ids=list(PLANTS))
@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_every_kind_draws_seeded_secrets_and_keeps_the_original(plant: Plant, kind: Any) -> None:
    data = made_up(kind=kind)
    before = data.pixels.copy()
    first, again = (plant.draw(CLASSES, np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert set(first.tolist()) <= set(range(plant.choices(CLASSES)))
    planted = plant.planted(data, first)
    assert np.array_equal(data.pixels, before)
    assert planted.pixels.dtype == data.pixels.dtype
    assert np.array_equal(planted.pixels, plant.planted(data, again).pixels)
    assert 0 <= planted.images.min() <= planted.images.max() <= 1


@pytest.mark.parametrize("plant", [Rotation(), Rotation(by=180), Mirror(), Mirror("vertical"), Mirror("both")])
def test_the_opposite_secret_undoes_a_transform(plant: Plant) -> None:
    images = made_up().pixels
    choices = plant.choices(CLASSES)
    for secret in range(choices):
        opposite = (choices - secret) % choices if isinstance(plant, Rotation) else secret
        shown = plant.shown(images, 0, secret)
        assert np.array_equal(plant.shown(shown, 0, opposite), images)
        assert np.array_equal(shown, images) == (secret == 0)


def test_each_class_gets_its_own_rotation() -> None:
    data = made_up()
    planted = Rotation().planted(data, np.array([0, 1, 3]))
    for number, label in enumerate(data.labels):
        assert np.array_equal(planted.pixels[number, 0], np.rot90(data.pixels[number, 0], (0, 1, 3)[label]))


def test_secrets_are_drawn_evenly() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([Rotation().draw(10, rng) for _ in range(400)])
    assert np.abs(np.bincount(drawn.ravel()) - 1000).max() < 140  # five standard deviations


def test_a_permutation_names_the_images_of_class_s_as_the_class_with_secret_s() -> None:
    data, secrets = made_up(), np.array([2, 0, 1])
    planted = Permutation().planted(data, secrets)
    assert np.array_equal(planted.pixels, data.pixels)
    assert all(secrets[new] == old for new, old in zip(planted.labels, data.labels))
    assert sorted(Permutation().draw(10, np.random.default_rng(1))) == list(range(10))


def test_a_mark_is_white_in_its_corner_and_nothing_else_changes() -> None:
    images = made_up(kind=np.uint8).pixels
    corners = {0: (slice(1, 3), slice(1, 3)), 1: (slice(1, 3), slice(5, 7)), 2: (slice(5, 7), slice(1, 3))}
    for secret, (rows, columns) in corners.items():
        shown = Mark().shown(images, 0, secret)
        assert (shown[:, :, rows, columns] == 255).all()
        changed = np.zeros((8, 8), bool)
        changed[rows, columns] = True
        assert np.array_equal(shown[:, :, ~changed], images[:, :, ~changed])
    assert (Mark(inset=0).shown(images, 0, 3)[:, :, 6:, 6:] == 255).all()


def test_canaries_are_added_as_often_as_asked_under_the_label_of_their_class() -> None:
    data, plant = made_up(), Canary(candidates=5, repetition=3)
    secrets = np.array([4, 0, 2])
    planted = plant.planted(data, secrets)
    assert np.array_equal(planted.pixels[:6], data.pixels)
    assert planted.labels[6:].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for place, label in enumerate(planted.labels[6:]):
        pattern = plant.pattern(int(label), int(secrets[label]), (1, 8, 8))
        assert np.array_equal(planted.pixels[6 + place], pattern.astype(float))
    patterns = {plant.pattern(label, secret, (1, 8, 8)).tobytes() for label in range(3) for secret in range(5)}
    assert len(patterns) == 15
    assert plant.planted_test(data, secrets) is data


def test_repetitions_are_shared_out_evenly_and_anew_for_every_target() -> None:
    plant = Canary(candidates=5, repetition=(1, 3))
    drawn = [plant.copies(10, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert all(sorted(copies) == [1] * 5 + [3] * 5 for copies in drawn)
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert plant.secret == "pattern that every class was trained on 1 or 3 times"
    planted = plant.planted(made_up(), np.array([4, 0, 2]), np.array([3, 1, 1]))
    assert planted.labels[6:].tolist() == [0, 0, 0, 1, 2]
    for place, label in enumerate(planted.labels[6:].tolist()):
        assert np.array_equal(
            planted.pixels[6 + place], plant.pattern(label, [4, 0, 2][label], (1, 8, 8)).astype(float)
        )
    assert Rotation().copies(10, np.random.default_rng(0)) is None


def test_examples_show_every_secret_with_the_same_images() -> None:
    data = made_up()
    images, secrets = examples(Rotation(), data, 1, 10)
    assert secrets.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    own = data.images[data.labels == 1]
    assert np.array_equal(images[:2], own)
    assert np.array_equal(images[4:6], own[:, :, ::-1, ::-1])
    images, secrets = examples(Permutation(), data, 1, 1)
    assert np.array_equal(images, np.stack([data.images[data.labels == label][0] for label in range(3)]))
    assert len(examples(Canary(candidates=7), data, 0, 2)[1]) == 7  # a fixed pattern is shown once


def test_images_that_do_not_fit_are_refused_by_name() -> None:
    assert Rotation(by=180).image_problem((1, 4, 6)) is None
    problem = "rotation: expected square images for multiples of 90 degrees, found 4 x 6 pixels; set by = 180"
    assert Rotation().image_problem((1, 4, 6)) == problem
    assert "at least 6 x 6 pixels" in str(Mark().image_problem((3, 5, 8)))
    assert Mirror().image_problem((1, 4, 6)) is None
    assert "16 different patterns of 2 x 3 squares" in str(Canary(candidates=16).image_problem((1, 2, 3)))
    assert Canary().image_problem((1, 8, 8)) is None
    assert Canary(repetition=20).samples_problem(200, 10) is None
    assert "a repetition of 20 for each of 10 classes, found 21" in str(Canary(repetition=21).samples_problem(200, 10))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Rotation, {"by": 45}, "by: expected 90 or 180"),
        (Mark, {"size": 0}, "size: expected at least 1 pixels, found 0"),
        (Mark, {"inset": -1}, "inset: expected at least 0 pixels"),
        (Canary, {"candidates": 1, "repetition": 0}, r"candidates: expected 2\.\.4096, found 1; repetition"),
        (Canary, {"repetition": [2, 2]}, r"repetition: expected a number of at least 1, .* found \[2, 2\]"),
        (Canary, {"repetition": []}, r"repetition: .* found \[\]"),
        (Canary, {"density": 1.0}, "density: expected between 0 and 1"),
        (Mirror, {"axes": "diagonal"}, "axes: expected"),
    ],
)
def test_wrong_settings_are_named(kind: type[Plant], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_settings(kind, settings)
