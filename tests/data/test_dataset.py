"""Datasets: the digits, and a split that keeps target, evaluator and test apart."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import Dataset, Split, load_digits, three_way_split


def numbered(*counts: int) -> Dataset:
    """A dataset with so many samples of each class, every image of which is a number of its own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.float64).reshape(-1, 1, 1, 1) / len(labels)
    return Dataset("numbered", "made up", images, labels, tuple(map(str, range(len(counts)))))


def members(data: Dataset) -> set[float]:
    return set(data.images.ravel().tolist())


def parts(split: Split) -> tuple[Dataset, Dataset, Dataset]:
    return split.target, split.evaluator, split.test


def test_digits() -> None:
    digits = load_digits()
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
    found = [members(part) for part in parts(split)]
    assert sum(map(len, found)) == len(data.labels)
    assert set().union(*found) == members(data)
    for part in parts(split):
        assert [label_of[image] for image in part.images.ravel()] == part.labels.tolist()
        assert (part.name, part.class_names) == (data.name, data.class_names)
    assert split.sizes() == {"target": len(found[0]), "evaluator": len(found[1]), "test": len(found[2])}


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
