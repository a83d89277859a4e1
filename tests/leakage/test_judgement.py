"""Measures of an evaluator's answers: by hand, against scikit-learn, and as properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from bl_neuro import InputError
from bl_neuro.leakage import (
    attack_accuracy,
    attack_success,
    confidence,
    confidences,
    differential_accuracy,
    held_at,
    hits,
    target_confidence,
    top_accuracy,
)

TABLE = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
CLASSES = np.array([0, 1, 2, 0])


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Distinct probabilities of 2 to 6 classes for 1 to 12 inversions, and the classes."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count, classes = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    return rng.dirichlet(np.ones(classes), count), rng.integers(0, classes, count)


def test_by_hand() -> None:
    assert attack_accuracy(TABLE, CLASSES) == 0.25  # the last is a tie
    assert top_accuracy(TABLE, CLASSES, 2) == 1.0
    assert confidence(TABLE, CLASSES) == pytest.approx((0.7 + 0.3 + 0.3 + 0.4) / 4)


def test_one_value_for_each_inversion() -> None:
    assert hits(TABLE, CLASSES).tolist() == [True, False, False, False]
    assert hits(TABLE, CLASSES, top=2).tolist() == [True, True, True, True]
    assert confidences(TABLE, CLASSES).tolist() == [0.7, 0.3, 0.3, 0.4]
    assert attack_accuracy(TABLE.tolist(), CLASSES.tolist()) == 0.25  # lists will do


def test_a_tie_counts_against() -> None:
    even = np.full((2, 4), 0.25)
    assert attack_accuracy(even, np.array([0, 3])) == 0.0
    assert top_accuracy(even, np.array([0, 3]), 3) == 0.0
    assert top_accuracy(even, np.array([0, 3]), 4) == 1.0


@given(judged(), st.integers(1, 5))
def test_top_accuracy_is_scikit_learns(drawn: tuple[np.ndarray, np.ndarray], top: int) -> None:
    probabilities, classes = drawn
    count = probabilities.shape[1]
    top = min(top, count - 1)
    if count == 2:  # scikit-learn wants one score a sample there
        expected = top_k_accuracy_score(classes, probabilities[:, 1], k=top, labels=[0, 1])
    else:
        expected = top_k_accuracy_score(classes, probabilities, k=top, labels=range(count))
    assert top_accuracy(probabilities, classes, top) == pytest.approx(expected)


@given(judged(), st.randoms(use_true_random=False))
def test_order_of_inversions_and_names_of_classes_do_not_matter(drawn: tuple[np.ndarray, ...], random: object) -> None:
    probabilities, classes = drawn
    order = np.random.default_rng(len(classes)).permutation(len(classes))
    names = np.random.default_rng(1).permutation(probabilities.shape[1])  # class c is called names[c] now
    renamed = np.empty_like(probabilities)
    renamed[:, names] = probabilities
    for measure in (attack_accuracy, confidence, lambda p, c: top_accuracy(p, c, 2)):
        expected = pytest.approx(measure(probabilities, classes))
        assert measure(probabilities[order], classes[order]) == expected
        assert measure(renamed, names[classes]) == expected


@given(judged())
def test_ranges(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, classes = drawn
    ranked = [top_accuracy(probabilities, classes, top) for top in range(1, probabilities.shape[1] + 1)]
    assert ranked == sorted(ranked)
    assert ranked[0] == attack_accuracy(probabilities, classes)
    assert ranked[-1] == 1.0
    assert ranked[0] >= 0
    assert 0 <= confidence(probabilities, classes) <= 1
    daa = differential_accuracy(probabilities, classes)
    assert (daa is None) == (len(set(classes)) < 2)
    assert daa is None or 0 <= daa <= 1


def test_daa_asks_each_class_for_its_best_inversion() -> None:
    #                  inversion of 0         of 1             of 2
    table = np.array([[0.3, 0.3, 0.4], [0.2, 0.4, 0.4], [0.1, 0.5, 0.4]])
    # class 0 is highest in its own; class 1 in that of 2; class 2 is even, which counts against it
    assert differential_accuracy(table, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert differential_accuracy(table[[2, 0, 1]], np.array([2, 0, 1])) == pytest.approx(1 / 3)


def test_a_tie_counts_against_daa() -> None:
    sure = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert differential_accuracy(sure, np.array([0, 1])) == 0.0
    assert differential_accuracy(np.eye(2), np.array([0, 1])) == 1.0


def test_daa_saturates_where_attack_accuracy_does_not() -> None:
    table = np.array([[0.50, 0.3, 0.2], [0.49, 0.31, 0.2], [0.49, 0.3, 0.21]])
    assert differential_accuracy(table, np.arange(3)) == 1.0
    assert attack_accuracy(table, np.arange(3)) == pytest.approx(1 / 3)


def test_daa_averages_over_complete_rounds() -> None:
    good, bad = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.1, 0.9], [0.8, 0.2]])
    classes = np.array([0, 1, 0, 1])
    assert differential_accuracy(np.vstack([good, bad]), classes) == 0.5
    assert differential_accuracy(np.vstack([good, bad[:1]]), np.array([0, 1, 0])) == 1.0  # half a round is left out
    assert differential_accuracy(np.vstack([bad, good]), classes) == 0.5


def test_daa_compares_the_classes_there_are() -> None:
    table = np.array([[0.1, 0.8, 0.05, 0.05], [0.1, 0.7, 0.1, 0.1]])
    assert differential_accuracy(table, np.array([1, 3])) == 1.0
    assert differential_accuracy(table, np.array([1, 1])) is None


@pytest.mark.parametrize(
    ("probabilities", "classes", "message"),
    [
        (TABLE, [0, 1], "probabilities: expected"),
        (TABLE[0], [0, 1, 2], "probabilities: expected"),
        (TABLE[:0], [], "probabilities: expected"),
        (TABLE, [0, 1, 2, 3], "classes: expected 0..2, found 0..3"),
        (TABLE, [0, 1, 2, -1], "classes: expected 0..2, found -1..2"),
        (TABLE, [0.0, 1.0, 2.0, 0.0], "classes: expected whole numbers"),
        (TABLE, [[0], [1], [2], [0]], "classes: expected whole numbers"),
        ([["a", "b"]], [0], "probabilities: expected an array of real numbers"),
        ([[0.1, 0.9], [0.5]], [0, 1], "probabilities: expected an array of numbers"),
        (TABLE * 1j, [0, 1, 2, 0], "probabilities: expected an array of real numbers"),
        (np.where(TABLE == 0.7, np.nan, TABLE), [0, 1, 2, 0], "probabilities: expected numbers, found NaN"),
    ],
)
def test_refuses(probabilities: np.ndarray, classes: list[int], message: str) -> None:
    for measure in (attack_accuracy, confidence, differential_accuracy):
        with pytest.raises(InputError, match=message):
            measure(probabilities, np.array(classes) if classes else np.array([], np.int64))


@pytest.mark.parametrize("top", [0, -1, 1.5, None])
def test_invalid_values_of_top_are_refused(top: object) -> None:
    with pytest.raises(InputError, match="top: expected a whole number of at least 1"):
        top_accuracy(TABLE, CLASSES, top)  # type: ignore[arg-type]


def test_silence_is_never_right() -> None:
    assert attack_success([0, 1, 2, -1], [0, 1, 0, 0]) == 0.5
    assert attack_success(torch.tensor([-1, -1]), torch.tensor([0, 1])) == 0.0


def test_counts_and_scores_are_shares() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 5, 5]])
    assert target_confidence(counts, [0, 1, 2]) == pytest.approx((0.75 + 0 + 0.5) / 3)
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    classes = np.array([0, 1, 2, 3, 0, 1])
    assert target_confidence(scores, classes) == pytest.approx(confidence(scores, classes))


@pytest.mark.parametrize(
    ("answers", "classes", "message"),
    [
        ([0, -2], [0, 1], "answers: expected whole numbers"),
        ([0.0, 1.0], [0, 1], "answers: expected whole numbers"),
        ([], [], "answers: expected whole numbers"),
        ([0, 1], [0], "classes: expected whole numbers"),
        ([0, 1], [0, -1], r"classes: expected 0\.\."),
    ],
)
def test_refuses_answers(answers: list[int], classes: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        attack_success(answers, classes)


def test_refuses_scores() -> None:
    with pytest.raises(InputError, match="scores: expected 0 or more"):
        target_confidence([[-0.1, 1.1]], [0])


def test_the_latest_so_far() -> None:
    queries, values = [10, 20, 20, 50], [0.1, 0.2, 0.3, 0.9]
    assert held_at(queries, values, [10, 19.5, 20, 49, 50, 900]).tolist() == [0.1, 0.1, 0.3, 0.3, 0.9, 0.9]


def test_rows_are_held_whole() -> None:
    values = np.arange(6.0).reshape(3, 2)
    assert held_at([1, 2, 3], values, [2.5, 1]).tolist() == [[2.0, 3.0], [0.0, 1.0]]
    assert held_at([1, 2, 3], values, []).shape == (0, 2)


@pytest.mark.parametrize(
    ("queries", "values", "grid", "message"),
    [
        ([10, 20], [1, 2], [5, 10], "grid: expected at least 10 queries"),
        ([20, 10], [1, 2], [20], "queries: expected"),
        ([], [], [1], "queries: expected"),
        ([10, 20], [1], [20], "values: expected 2"),
        ([10, 20], [1, 2], [[20]], "values: expected 2"),
        ([10, 20], 3.0, [20], "values: expected 2"),
        ([10, 20], [1, np.nan], [20], "values: expected numbers"),
    ],
)
def test_a_course_refuses(queries: list[float], values: list[float], grid: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        held_at(queries, values, grid)
