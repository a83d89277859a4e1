"""Datasets: the digits, and a split that keeps target, evaluator and test apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError, InputError
from bl_neuro.data import ENCODERS, Dataset, Split, load_dataset, three_way_split


def numbered(*counts: int) -> Dataset:
    """A dataset with the given number of samples of each class; every image has a unique value."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.float64).reshape(-1, 1, 1, 1) / len(labels)
    return Dataset("numbered", "made up", images, labels, tuple(map(str, range(len(counts)))))


def members(data: Dataset) -> set[float]:
    return set(data.images.ravel().tolist())


def parts(split: Split) -> tuple[Dataset, Dataset, Dataset]:
    return split.target, split.evaluator, split.test


def test_digits() -> None:
    digits = load_dataset("digits")
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.images.dtype == np.float64
    assert (digits.images.min(), digits.images.max()) == (0.0, 1.0)
    assert digits.classes == 10
    assert digits.class_names == tuple("0123456789")
    assert set(digits.labels.tolist()) == set(range(10))
    assert digits.labels.dtype == np.int64
    assert digits.name == "digits"


def test_class_means_are_means_of_the_class() -> None:
    data = Dataset(
        "two", "made up", np.array([0.0, 0.4, 0.8, 1.0]).reshape(4, 1, 1, 1), np.array([0, 1, 0, 1]), ("a", "b")
    )
    assert data.class_means().shape == (2, 1, 1, 1)
    assert data.class_means().ravel().tolist() == pytest.approx([0.4, 0.7])
    assert data.subset(np.array([3, 0])).images.ravel().tolist() == [1.0, 0.0]
    assert data.subset(np.array([3, 0])).labels.tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_split_is_disjoint_complete_and_keeps_labels(seed: int) -> None:
    data = numbered(40, 61, 33)
    split = three_way_split(data, seed)
    label_of = dict(zip(data.images.ravel().tolist(), data.labels.tolist()))
    subsets = [members(part) for part in parts(split)]
    assert sum(map(len, subsets)) == len(data.labels)
    assert set().union(*subsets) == members(data)
    for part in parts(split):
        assert [label_of[image] for image in part.images.ravel()] == part.labels.tolist()
        assert (part.name, part.class_names) == (data.name, data.class_names)
    assert split.sizes() == {"target": len(subsets[0]), "evaluator": len(subsets[1]), "test": len(subsets[2])}


def test_split_has_the_same_proportions_in_every_class() -> None:
    data = numbered(100, 50, 20)
    split = three_way_split(data, 0, target=0.3, evaluator=0.5)
    for part, fraction in zip(parts(split), (0.3, 0.5, 0.2)):
        assert np.bincount(part.labels).tolist() == [round(fraction * count) for count in (100, 50, 20)]


def test_split_mixes_the_classes() -> None:
    for part in parts(three_way_split(numbered(100, 100), 0)):
        assert (np.diff(part.labels) != 0).mean() > 0.3


def test_split_comes_from_its_seed() -> None:
    data = numbered(40, 40)
    first, again, other = (three_way_split(data, seed) for seed in (7, 7, 8))
    for one, same, different in zip(parts(first), parts(again), parts(other)):
        assert np.array_equal(one.images, same.images)
        assert members(one) != members(different)


@pytest.mark.parametrize("counts", [(40, 5), (0, 40), (3,)])
def test_split_refuses_too_few_samples(counts: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"numbered: class \d has \d+ samples, too few"):
        three_way_split(numbered(*counts), 0)


BYTES = np.random.default_rng(0).integers(0, 256, size=(4, 1, 3, 2), dtype=np.uint8)
LABELS = np.array([0, 1, 1, 0])


def test_bytes_stay_bytes_until_they_are_asked_for() -> None:
    data = Dataset("bytes", "made up", BYTES, LABELS, ("a", "b"))
    assert data.subset(np.array([0, 2])).pixels.dtype == np.uint8
    assert np.array_equal(data.images_at(np.array([2])), BYTES[[2]] / 255)
    assert np.array_equal(data.images_at(slice(1, 3)), BYTES[1:3] / 255)
    assert "images" not in vars(data)
    assert data.images is data.images
    assert data.images.dtype == np.float64
    np.testing.assert_allclose(data.class_means()[0], BYTES[[0, 3]].mean(axis=0) / 255)
    assert data.input_shape == (1, 3, 2)


def test_images_of_real_numbers_are_not_copied() -> None:
    data = numbered(3, 3)
    assert np.shares_memory(data.images, data.pixels)


@pytest.mark.parametrize("encoder", [None, "rate", "held", "direct", lambda images, steps, rng: images[None]])
def test_samples_are_encoded(encoder: Any) -> None:
    data = Dataset("bytes", "made up", BYTES, LABELS, ("a", "b"))
    shown = data.spikes(np.array([3, 1]), 5, np.random.default_rng(0), encoder)
    if callable(encoder):
        assert np.array_equal(shown, data.images[[3, 1]][None])
    else:
        named = ENCODERS[encoder or "rate"]
        assert np.array_equal(shown, named(data.images[[3, 1]], 5, np.random.default_rng(0)))
    with pytest.raises(InputError, match="encoder: expected one of"):
        data.spikes(np.array([0]), 5, np.random.default_rng(0), "latency")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": LABELS[:3]}, r"labels: expected 4 whole numbers, found int64 \(3,\)"),
        ({"labels": LABELS.astype(float)}, "labels: expected 4 whole numbers, found float64"),
        ({"labels": LABELS + 1}, r"labels: expected 0\.\.1, found 1\.\.2"),
        ({"labels": LABELS - 1}, r"labels: expected 0\.\.1, found -1\.\.0"),
        ({"pixels": BYTES.astype(int)}, "pixels: expected floats or bytes .* found int64"),
        ({"pixels": BYTES.astype(np.uint16)}, "pixels: expected floats or bytes .* found uint16"),
        ({"pixels": BYTES[:, 0, 0, 0]}, r"pixels: expected floats or bytes \(N, C, H, W\)"),
        ({"held_out": np.array([True])}, r"held_out: expected 4 of bool, found bool \(1,\)"),
        ({"held_out": LABELS}, "held_out: expected 4 of bool, found int64"),
    ],
)
def test_inconsistent_fields_are_refused(fields: dict[str, Any], message: str) -> None:
    described = {"name": "n", "source": "s", "pixels": BYTES, "labels": LABELS, "class_names": ("a", "b"), **fields}
    with pytest.raises(InputError, match=message):
        Dataset(**described)
