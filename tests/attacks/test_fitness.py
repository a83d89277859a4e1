"""The evidence that an attacker derives from answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from bl_neuro.attacks.fitness import centred_hits, centred_ranks, evidence, named

ANSWERS = st.lists(st.integers(-5, 5), min_size=2, max_size=20).map(lambda values: np.array(values, dtype=np.float64))


def test_ranks_by_hand() -> None:
    assert centred_ranks(np.array([3.0, 1.0, 2.0])).tolist() == [0.5, -0.5, 0.0]
    assert centred_ranks(np.array([1.0, 1.0, 5.0])).tolist() == [-0.25, -0.25, 0.5]  # the first two share ranks 1, 2
    assert centred_ranks(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]
    assert centred_ranks(np.array([7.0])).tolist() == [0.0]
    columns = centred_ranks(np.array([[1.0, 9.0], [2.0, 5.0]]))
    assert columns.tolist() == [[-0.5, 0.5], [0.5, -0.5]]  # each class by itself


@given(ANSWERS)
def test_ranks_are_balanced_and_know_order_only(values: np.ndarray) -> None:
    ranks = centred_ranks(values)
    assert abs(ranks.sum()) < 1e-9
    assert np.abs(ranks).max() <= 0.5
    assert np.array_equal(ranks, centred_ranks(np.exp(values)))
    np.testing.assert_allclose(ranks, -centred_ranks(-values), atol=1e-12)
    assert np.array_equal(np.sign(np.subtract.outer(ranks, ranks)), np.sign(np.subtract.outer(values, values)))


def test_hits_by_hand() -> None:
    # mean 1/4, sd 0.433: 0.3 (1 - .25) / .433
    assert centred_hits(np.array([1.0, 0, 0, 0])) == pytest.approx([0.51962, -0.17321, -0.17321, -0.17321], abs=1e-5)
    # one hit in 100: the sd of 0.0995 counts as 0.2, so that a single hit is not all there is
    assert centred_hits(np.eye(1, 100)[0])[0] == pytest.approx(0.3 * 0.99 / 0.2)
    assert not centred_hits(np.ones(4)).any()
    assert not centred_hits(np.zeros(4)).any()


@given(st.lists(st.integers(0, 1), min_size=2, max_size=20))
def test_hits_are_balanced(values: list[int]) -> None:
    assert abs(centred_hits(np.array(values, dtype=np.float64)).sum()) < 1e-9


MEMBRANE = np.array([[[0.5, 2.0, -1.0], [0.0, 0.0, 0.0]], [[1.5, 0.0, 1.0], [3.0, 0.0, 0.0]]])  # (T=2, B=2, C=3)
SPIKES = np.array([[[1, 0, 0], [1, 1, 0]], [[1, 0, 1], [0, 1, 0]]])
COUNTS = np.array([[2, 0, 1], [1, 2, 0]])


@pytest.mark.parametrize(
    ("reveals", "answer", "expected"),
    [
        ("membrane", MEMBRANE, np.log(softmax(MEMBRANE, axis=2).mean(0))),
        ("scores", softmax(MEMBRANE, axis=2).mean(0), np.log(softmax(MEMBRANE, axis=2).mean(0))),
        ("spikes", SPIKES, log_softmax(COUNTS / 2, axis=1)),
        ("counts", COUNTS, log_softmax(COUNTS / 2, axis=1)),
        ("label", np.array([2, 0]), [[0, 0, 1], [1, 0, 0]]),
    ],
)
def test_evidence_of_each_kind_of_answer(reveals: str, answer: np.ndarray, expected: np.ndarray) -> None:
    actual = evidence(torch.from_numpy(answer), reveals, 3)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_evidence_is_finite_where_a_score_is_zero() -> None:
    assert np.isfinite(evidence(torch.tensor([[0.0, 1.0]]), "scores", 2)).all()


def test_the_named_class_is_the_strongest_and_silence_names_none() -> None:
    assert named(np.array([[0.1, 0.3, 0.2], [0.5, 0.5, 0.0], [0.2, 0.2, 0.2]])).tolist() == [1, 0, -1]
