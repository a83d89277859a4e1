"""ROC curves against scikit-learn, and by what must not change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score
from sklearn.metrics import roc_curve as theirs

from bl_neuro import InputError
from bl_neuro.leakage.roc import LOW_RATES, MEASURES, roc_curve, separation

SAMPLES = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30).filter(
    lambda rows: {(row[1], row[2] > 0) for row in rows} >= {(True, True), (False, True)}
)
"""Score, membership and weight of samples; few distinct scores, so that many tie."""


def columns(rows: list[tuple[int, bool, int]]) -> tuple[Any, Any, Any]:
    scores, members, weights = zip(*rows)
    return np.array(scores, float), np.array(members), np.array(weights)


@settings(max_examples=25)
@given(SAMPLES)
def test_measures_are_scikit_learns_with_weights(rows: list[tuple[int, bool, int]]) -> None:
    scores, members, weights = columns(rows)
    curve = roc_curve(scores, members, weights[None])
    false, true, _ = theirs(members, scores, sample_weight=weights, drop_intermediate=False)
    assert curve.auc == pytest.approx(roc_auc_score(members, scores, sample_weight=weights))
    assert curve.auc == pytest.approx(auc(curve.false[0], curve.true[0]))
    assert curve.balanced_accuracy == pytest.approx(((true + 1 - false) / 2).max())
    for rate in (*LOW_RATES, 0.25, 0.5, 1.0):
        assert curve.true_at(rate) == pytest.approx(true[false <= rate + 1e-12].max())


@settings(max_examples=25)
@given(SAMPLES)
def test_weights_are_repeated_samples(rows: list[tuple[int, bool, int]]) -> None:
    scores, members, weights = columns(rows)
    repeated = roc_curve(scores.repeat(weights), members.repeat(weights))
    assert separation(roc_curve(scores, members, weights[None])) == pytest.approx(separation(repeated))


@settings(max_examples=25)
@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(rows: list[tuple[int, bool, int]], random: Any) -> None:
    scores, members, weights = columns(rows)
    random.shuffle(rows)
    other_scores, other_members, other_weights = columns(rows)
    one = separation(roc_curve(scores, members, weights[None]))
    assert separation(roc_curve(other_scores, other_members, other_weights[None])) == pytest.approx(one)


@settings(max_examples=25)
@given(SAMPLES)
def test_monotone_transforms_change_nothing_and_turned_scores_mirror_the_auc(rows: list[tuple[int, bool, int]]) -> None:
    scores, members, _ = columns(rows)
    curve = roc_curve(scores, members)
    assert (separation(roc_curve(np.exp(scores) - 7, members)) == separation(curve)).all()
    assert roc_curve(-scores, members).auc == pytest.approx(1 - curve.auc)
    assert roc_curve(-scores, ~members).auc == pytest.approx(curve.auc)


def test_a_hand_made_case() -> None:
    scores = [5, 4, 4, 3, 2, 1]
    members = np.array([True, True, False, True, False, False])
    curve = roc_curve(scores, members)
    assert curve.false[0].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve.true[0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])
    assert curve.auc == pytest.approx((3 + 2.5 + 2) / 9)
    assert (curve.true_at(0.0), curve.true_at(0.33), curve.true_at(1 / 3)) == pytest.approx((1 / 3, 1 / 3, 1.0))
    assert curve.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert separation(curve)[0] == pytest.approx([7.5 / 9, 1 / 3, 1 / 3, 5 / 6])
    assert len(MEASURES) == separation(curve).shape[1]


def test_rates_that_are_met_exactly_count() -> None:
    """One of a thousand non-members is 0.1%, ten are 1%, whatever the last bit of a division."""
    for others, rate, allowed in ((1000, 0.001, 1), (1000, 0.01, 10), (300, 0.01, 3), (700, 0.01, 7)):
        scores = np.concatenate(
            [np.arange(others), others - np.arange(1, 13) + 0.5]
        )  # the k-th member below k - 1 others
        members = np.arange(others + 12) >= others
        assert roc_curve(scores, members).true_at(rate) == pytest.approx(min(allowed + 1, 12) / 12)


def test_equal_scores_say_nothing() -> None:
    curve = roc_curve(np.zeros(10), np.arange(10) < 3)
    assert separation(curve)[0].tolist() == [0.5, 0.0, 0.0, 0.5]


def test_perfect_separation() -> None:
    members = np.arange(10) < 3
    assert separation(roc_curve(members.astype(float), members))[0].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert separation(roc_curve(-members.astype(float), members))[0].tolist() == [0.0, 0.0, 0.0, 0.5]


def test_many_weights_are_many_curves() -> None:
    rng = np.random.default_rng(0)
    scores, members, weights = rng.random(40), np.arange(40) < 20, rng.multinomial(40, np.full(40, 1 / 40), size=7)
    together = separation(roc_curve(scores, members, weights))
    assert together == pytest.approx(
        np.concatenate([separation(roc_curve(scores, members, row[None])) for row in weights])
    )


@pytest.mark.parametrize(
    ("scores", "members", "message"),
    [
        ([1.0, 2.0], np.array([True, True]), "expected members and non-members"),
        ([1.0, 2.0], np.array([False, False]), "expected members and non-members"),
        ([1.0, 2.0], np.array([1, 0]), "expected booleans"),
        ([1.0, 2.0, 3.0], np.array([True, False]), "expected booleans \\(3,\\)"),
        ([[1.0], [2.0]], np.array([[True], [False]]), "one per score"),
        ([1.0, np.nan], np.array([True, False]), "NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(scores: Any, members: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        roc_curve(scores, members)
