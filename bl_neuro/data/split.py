"""Splits a dataset between targets, evaluators and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal

import numpy as np

from bl_neuro.arrays import IntArray
from bl_neuro.data.samples import S, Samples
from bl_neuro.errors import DataError
from bl_neuro.seeding import stream

UNSEEN = "the evaluator is trained on samples that the target never saw"
SHARED = "the evaluator is trained on the target's own samples"
WHOLE = "the same samples train targets and evaluators and test both: no leakage is measured"
NOT_KNOWN = "the target's training data is not known"
SplitKind = Literal["three-way", "official", "shared", "whole"]
"""The kinds of splits; see the function of each."""
EVALUATOR_SHARE = 0.6
"""The evaluator's share of samples that are divided between evaluator and test part."""


@dataclass(frozen=True)
class Split(Generic[S]):
    """Three parts: training samples of the target, training samples of the evaluator, and test samples.

    The parts are disjoint unless `note` says that target and evaluator share samples, that every part is the whole
    dataset, or that the training data of the target is not known. In the last case `target` is the whole dataset.
    """

    target: S
    evaluator: S
    test: S
    note: str = UNSEEN

    def sizes(self) -> dict[str, int]:
        """Samples in each part."""
        parts = {"target": self.target, "evaluator": self.evaluator, "test": self.test}
        return {name: len(part.labels) for name, part in parts.items()}


def automatic_split(dataset: Samples, fewest: int = 0) -> Literal["official", "three-way"]:
    """The kind of split that suits a dataset.

    "official" if the loaded samples contain an official test set with at least `fewest` samples of each class, and an
    official training set; else "three-way".
    """
    held = dataset.held_out
    if held is None or not 0 < held.sum() < len(held):
        return "three-way"
    counts = np.bincount(dataset.labels[held], minlength=dataset.classes)
    return "official" if counts.min() >= fewest else "three-way"


def split_by_kind(
    dataset: S,
    kind: SplitKind,
    seed: int,
    target: int | None = None,
    evaluator: int | None = None,
    test: int | None = None,
) -> Split[S]:
    """Splits `dataset` by the function for `kind`. The sizes are for "official" and ignored by the others.

    Raises:
        DataError: see these functions.
    """
    if kind == "official":
        return official_split(dataset, seed, target, evaluator, test)
    if kind == "three-way":
        return three_way_split(dataset, seed)
    return shared_split(dataset) if kind == "shared" else whole_split(dataset)


def three_way_split(dataset: S, seed: int, target: float = 0.5, evaluator: float = 0.3) -> Split[S]:
    """Splits `dataset` at random, with the same class proportions in each part; the rest is the test set.

    Raises:
        DataError: a part would have fewer than two samples of some class.
    """
    rng = stream(seed, "split")
    parts: list[list[IntArray]] = [[], [], []]
    for label in range(dataset.classes):
        index = rng.permutation(np.flatnonzero(dataset.labels == label))
        cuts = [round(len(index) * target), round(len(index) * (target + evaluator))]
        pieces = np.split(index, cuts)
        if min(len(piece) for piece in pieces) < 2:
            raise DataError(f"{dataset.name}: class {label} has {len(index)} samples, too few to split three ways")
        for part, piece in zip(parts, pieces):
            part.append(piece)
    first, second, third = (dataset.subset(rng.permutation(np.concatenate(part))) for part in parts)
    return Split(first, second, third)


def official_split(
    dataset: S, seed: int, target: int | None = None, evaluator: int | None = None, test: int | None = None
) -> Split[S]:
    """Keeps the official test set, and divides the official training set between target and evaluator.

    target, evaluator, test: number of samples in each part, drawn with the class proportions of the dataset. By default
    the test part is the whole test set, and target and evaluator share the training set, in equal parts if neither size
    is given. On MNIST: 30,000, 30,000 and the 10,000 official test images. On AT&T, `target=200, evaluator=120` gives 5
    and 3 photographs per person and the official 2 for testing.

    Raises:
        DataError: the dataset has no official test set, or fewer samples than requested.
    """
    learn, held = official_parts(dataset)
    if target is None:
        target = len(learn) // 2 if evaluator is None else len(learn) - evaluator
    evaluator = len(learn) - target if evaluator is None else evaluator
    test = len(held) if test is None else test
    for name, count, most in (
        ("target", target, len(learn)),
        ("evaluator", evaluator, len(learn)),
        ("test", test, len(held)),
    ):
        if not 1 <= count <= most:
            raise DataError(f"{dataset.name}: {name}: expected 1..{most} samples, found {count}")
    if target + evaluator > len(learn):
        raise DataError(
            f"{dataset.name}: expected at most {len(learn)} samples for target and evaluator, "
            f"found {target} + {evaluator}"
        )
    rng = stream(seed, "official split")
    for_target, rest = _draw(dataset.labels, learn, target, rng)
    for_evaluator, _ = _draw(dataset.labels, rest, evaluator, rng)
    for_test, _ = _draw(dataset.labels, held, test, rng)
    return Split(dataset.subset(for_target), dataset.subset(for_evaluator), dataset.subset(for_test))


def divided(
    dataset: S, pool: IntArray, seed: int, evaluator: int | None = None, test: int | None = None
) -> tuple[IntArray, IntArray]:
    """The samples of `pool` divided between evaluator and test part, with the class proportions of the pool.

    pool: indices of samples of `dataset`. evaluator, test: number of samples in each part; by default `EVALUATOR_SHARE`
    of the pool, and the rest.

    Raises:
        DataError: the pool has fewer samples than requested, or a part would have fewer than two samples of some class.
    """
    if evaluator is None:
        evaluator = round(EVALUATOR_SHARE * len(pool)) if test is None else len(pool) - test
    test = len(pool) - evaluator if test is None else test
    if min(evaluator, test) < 1 or evaluator + test > len(pool):
        raise DataError(
            f"{dataset.name}: expected at most {len(pool)} samples for evaluator and test together and at least 1 for "
            f"each, found {evaluator} + {test}"
        )
    rng = stream(seed, "divided samples")
    for_evaluator, rest = _draw(dataset.labels, pool, evaluator, rng)
    for_test, _ = _draw(dataset.labels, rest, test, rng)
    for index in (for_evaluator, for_test):
        counts = np.bincount(dataset.labels[index], minlength=dataset.classes)
        if counts.min() < 2:
            label = int(counts.argmin())
            available = int((dataset.labels[pool] == label).sum())
            raise DataError(
                f"{dataset.name}: class {label} has {available} samples that evaluators may use, too few to train and "
                "test them on"
            )
    return for_evaluator, for_test


def shared_split(dataset: S) -> Split[S]:
    """The split of the BrainLeaks authors: target and evaluator both train on the whole official training set.

    Raises:
        DataError: the dataset has no official test set.
    """
    learn, held = official_parts(dataset)
    return Split(dataset.subset(learn), dataset.subset(learn), dataset.subset(held), SHARED)


def whole_split(dataset: S) -> Split[S]:
    """Every part is the whole dataset. Only for trying out a pipeline on little data; does not measure leakage."""
    return Split(dataset, dataset, dataset, WHOLE)


def official_parts(dataset: S) -> tuple[IntArray, IntArray]:
    """Indices of the official training set and of the official test set.

    Raises:
        DataError: the dataset has no official test set.
    """
    if dataset.held_out is None or not 0 < dataset.held_out.sum() < len(dataset.labels):
        raise DataError(f"{dataset.name}: the loaded samples contain no official test set; use a three-way split")
    return np.flatnonzero(~dataset.held_out), np.flatnonzero(dataset.held_out)


def _draw(labels: IntArray, index: IntArray, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draws `count` of `index`, shuffled, in the class proportions (largest remainders). Returns them and the rest."""
    members = [rng.permutation(index[labels[index] == label]) for label in np.unique(labels[index])]
    shares = np.array([len(of_class) * count / len(index) for of_class in members])
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    drawn = [of_class[:n] for of_class, n in zip(members, counts)]
    rest = [of_class[n:] for of_class, n in zip(members, counts)]
    return rng.permutation(np.concatenate(drawn)), np.concatenate(rest)
