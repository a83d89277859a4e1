"""Splits along the authors' own test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, get_args

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import Dataset, EventDataset, Split, official_split, shared_split, three_way_split
from bl_neuro.data.split import SplitKind, automatic_split, split_by_kind, whole_split

Part = TypeVar("Part", Dataset, EventDataset)


def numbered(counts: list[int], held: list[int]) -> Dataset:
    """The given number of samples of each class, the last `held` for testing; every image has a unique value."""
    labels = np.repeat(np.arange(len(counts)), counts)
    held_out = np.concatenate([np.arange(count) >= count - some for count, some in zip(counts, held)])
    images = np.arange(len(labels), dtype=np.float64).reshape(-1, 1, 1, 1) / len(labels)
    return Dataset("numbered", "made up", images, labels, tuple(map(str, range(len(counts)))), held_out)


def members(part: Dataset) -> set[float]:
    return set(part.images.ravel().tolist())


def parts(split: Split[Part]) -> tuple[Part, Part, Part]:
    return split.target, split.evaluator, split.test


def test_the_test_set_is_the_authors_and_the_rest_is_halved() -> None:
    data = numbered([41, 20, 30], [5, 4, 3])
    split = official_split(data, 0)
    assert split.sizes() == {"target": 39, "evaluator": 40, "test": 12}
    subsets = [members(part) for part in parts(split)]
    assert len(set.union(*subsets)) == len(data.labels)
    assert subsets[2] == set(data.images[data.held_out].ravel().tolist())
    assert split.target.held_out is not None
    assert not split.target.held_out.any()
    assert "never saw" in split.note
    label_of = dict(zip(data.images.ravel().tolist(), data.labels.tolist()))
    for part in parts(split):
        assert [label_of[image] for image in part.images.ravel()] == part.labels.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_sizes_are_kept_and_classes_are_in_proportion(seed: int) -> None:
    split = official_split(numbered([50, 30, 20], [10, 10, 10]), seed, target=35, evaluator=14, test=9)
    for part, size, counts in zip(parts(split), (35, 14, 9), ([20, 10, 5], [8, 4, 2], [3, 3, 3])):
        assert len(part.labels) == size
        assert np.bincount(part.labels).tolist() == counts


def test_unused_samples_go_to_the_other_parts() -> None:
    data = numbered([20, 20], [5, 5])
    assert official_split(data, 0, evaluator=10).sizes()["target"] == 20
    assert official_split(data, 0, target=10).sizes()["evaluator"] == 20


def test_comes_from_its_seed() -> None:
    data = numbered([40, 40], [10, 10])
    first, again, other = (official_split(data, seed, test=10) for seed in (7, 7, 8))
    for one, same, different in zip(parts(first), parts(again), parts(other)):
        assert np.array_equal(one.images, same.images)
        assert members(one) != members(different)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"target": 0}, r"target: expected 1\.\.30 samples, found 0"),
        ({"target": 31}, r"target: expected 1\.\.30 samples, found 31"),
        ({"evaluator": 30}, r"target: expected 1\.\.30 samples, found 0"),
        ({"test": 11}, r"test: expected 1\.\.10 samples, found 11"),
        ({"target": 20, "evaluator": 11}, r"at most 30 samples for target and evaluator, found 20 \+ 11"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        official_split(numbered([20, 20], [5, 5]), 0, **sizes)


@pytest.mark.parametrize("held", [[0, 0], [20, 20], None])
def test_without_a_test_set_of_its_authors(held: list[int] | None) -> None:
    data = numbered([20, 20], held or [0, 0])
    if held is None:
        data = Dataset(data.name, data.source, data.pixels, data.labels, data.class_names)
    splits: list[Callable[[], Any]] = [lambda: official_split(data, 0), lambda: shared_split(data)]
    for split in splits:
        with pytest.raises(DataError, match=r"the loaded samples contain no official test set; use a three-way split"):
            split()


def test_a_shared_split_says_so() -> None:
    split = shared_split(numbered([20, 20], [5, 5]))
    assert np.array_equal(split.target.images, split.evaluator.images)
    assert members(split.target).isdisjoint(members(split.test))
    assert split.note == "the evaluator is trained on the target's own samples"


def test_events_are_split_alike() -> None:
    frames = np.zeros((24, 3, 1, 4, 4), dtype=np.uint8)
    frames.reshape(24, -1)[np.arange(24), np.arange(24)] = 1
    data = EventDataset.from_frames("dots", "made up", frames, np.arange(24) % 2, ("a", "b"))
    split = three_way_split(data, 0)
    subsets = [set(part.frames_at(slice(None)).reshape(-1, 48).argmax(axis=1)) for part in parts(split)]
    assert [len(subset) for subset in subsets] == [12, 8, 4]
    assert set.union(*subsets) == set(range(24))


def test_an_official_test_set_with_enough_samples_is_kept_automatically() -> None:
    data = numbered([20, 20], [5, 3])
    assert automatic_split(data) == automatic_split(data, 3) == "official"
    assert automatic_split(data, 4) == "three-way"
    for held in (None, np.zeros(40, bool), np.ones(40, bool)):
        assert automatic_split(replace(data, held_out=held)) == "three-way"


def test_each_kind_of_split_is_made_by_its_function() -> None:
    data = numbered([20, 20], [5, 5])
    made = {
        "official": official_split(data, 3, target=8),
        "three-way": three_way_split(data, 3),
        "shared": shared_split(data),
        "whole": whole_split(data),
    }
    for kind in get_args(SplitKind):
        split = split_by_kind(data, kind, 3, target=8)
        assert split.note == made[kind].note
        assert [members(part) for part in parts(split)] == [members(part) for part in parts(made[kind])]
