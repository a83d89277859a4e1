"""Membership inference from inversions, against scikit-learn's AUC."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bl_neuro import InputError
from bl_neuro.leakage import likeness, membership, membership_check


def drawn(seed: int, size: int = 40) -> tuple[np.ndarray, ...]:
    """Inversions, classes; members, labels; others, labels: all from one distribution."""
    rng = np.random.default_rng(seed)
    means = rng.random((3, 1, 4, 4))

    def some(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.concatenate([np.arange(3), rng.integers(0, 3, count - 3)])
        return np.clip(means[labels] + rng.normal(0, 0.3, (count, 1, 4, 4)), 0, 1), labels

    images, classes = some(7)
    return images, classes, *some(size), *some(size // 2)


def scores(images: np.ndarray, classes: np.ndarray, samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Highest correlation with an inversion of the sample's class."""
    return np.array(
        [
            max(np.corrcoef(sample.ravel(), image.ravel())[0, 1] for image in images[classes == label])
            for sample, label in zip(samples, labels)
        ]
    )


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_auc_is_scikit_learns_class_by_class(seed: int) -> None:
    images, classes, members, inside, others, outside = drawn(seed)
    one, two = scores(images, classes, members, inside), scores(images, classes, others, outside)
    expected = [
        roc_auc_score(
            np.repeat([1, 0], [(inside == label).sum(), (outside == label).sum()]),
            np.concatenate([one[inside == label], two[outside == label]]),
        )
        for label in range(3)
    ]
    check = membership_check(images, classes, members, inside, others, outside, resamples=50)
    assert check.auc == pytest.approx(np.mean(expected))
    assert (check.members, check.others) == (40, 20)
    assert check.low <= check.high


def test_a_stolen_member_is_seen_and_a_prototype_is_not() -> None:
    _, _, members, inside, others, outside = drawn(1, size=200)
    copied = membership_check(members, inside, members, inside, others, outside)
    assert copied.auc == 1.0
    assert not copied.at_chance
    means = np.stack([members[inside == label].mean(axis=0) for label in range(3)])
    images, classes = drawn(1, size=200)[:2]
    assert membership_check(images, classes, members, inside, others, outside).at_chance
    assert 0.4 < membership_check(means, np.arange(3), members, inside, others, outside).auc < 0.75


def test_ties_are_half() -> None:
    images, classes, members, inside, *_ = drawn(2)
    same = membership_check(images, classes, members, inside, members, inside)
    assert same.auc == pytest.approx(0.5)
    flat = np.full_like(members, 0.5)
    still = membership_check(images, classes, flat, inside, flat, inside)
    assert (still.auc, still.low, still.high) == pytest.approx((0.5, 0.5, 0.5))


def test_resampled_aucs_are_those_of_resampled_scores() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 6, 30) / 6, rng.integers(0, 6, 20) / 6  # with ties
    fast = membership._resampled_auc(inside, outside, 3, np.random.default_rng(7))
    again = np.random.default_rng(7)
    one, two = again.integers(0, 30, (3, 30)), again.integers(0, 20, (3, 20))
    truth = np.repeat([1, 0], [30, 20])
    slow = [roc_auc_score(truth, np.concatenate([inside[a], outside[b]])) for a, b in zip(one, two)]
    assert fast == pytest.approx(slow)


def test_targets_with_the_same_samples_get_the_same_draws_of_them() -> None:
    images, classes, *samples = drawn(3)
    first = likeness(images, classes, *samples)
    assert first.auc == membership_check(images, classes, *samples, resamples=2).auc
    assert np.array_equal(likeness(images, classes, *samples).resampled, first.resampled)
    upright, inverted = (likeness(shown[:3], classes[:3], *samples) for shown in (images, 1.0 - images))
    assert inverted.auc == pytest.approx(1.0 - upright.auc)  # one inversion of a class: the ranks turn around
    assert inverted.resampled == pytest.approx(1.0 - upright.resampled)


def test_blocks_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = membership_check(*drawn(3), resamples=4000)
    monkeypatch.setattr(membership, "MAX_VALUES_AT_ONCE", 100)
    pieces = membership_check(*drawn(3), resamples=4000)
    assert pieces.auc == whole.auc
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.02)


def test_the_interval_holds_the_truth() -> None:
    checks = [membership_check(*drawn(seed, 60), resamples=200, seed=seed) for seed in range(100)]
    assert np.mean([check.at_chance for check in checks]) >= 0.9
    assert np.mean([check.auc for check in checks]) == pytest.approx(0.5, abs=0.02)


def test_classes_without_inversions_are_left_out() -> None:
    images, classes, members, inside, others, outside = drawn(4)
    only = classes == 1
    check = membership_check(images[only], classes[only], members, inside, others, outside)
    assert (check.members, check.others) == ((inside == 1).sum(), (outside == 1).sum())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c, m, a, o, b: (i, c, m, a + 3, o, b), "expected a class that has inversions, members and others"),
        (lambda i, c, m, a, o, b: (i, c, m, a[1:], o, b), "member_labels: expected whole numbers"),
        (lambda i, c, m, a, o, b: (i, c, m, a, o, b[1:]), "other_labels: expected whole numbers"),
        (lambda i, c, m, a, o, b: (i, c, m[:, :, 1:], a, o, b), "samples: expected"),
        (lambda i, c, m, a, o, b: (i, c[1:], m, a, o, b), "classes: expected whole numbers"),
    ],
)
def test_refuses(change: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        membership_check(*change(*drawn(0)))  # type: ignore[operator]
