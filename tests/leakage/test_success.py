"""Attack success, the target's own answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bl_neuro import InputError
from bl_neuro.leakage import attack_success, confidence, target_confidence


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
    ("answers", "classes", "said"),
    [
        ([0, -2], [0, 1], "answers: expected whole numbers"),
        ([0.0, 1.0], [0, 1], "answers: expected whole numbers"),
        ([], [], "answers: expected whole numbers"),
        ([0, 1], [0], "classes: expected whole numbers"),
        ([0, 1], [0, -1], r"classes: expected 0\.\."),
    ],
)
def test_refuses_answers(answers: list[int], classes: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        attack_success(answers, classes)


def test_refuses_scores() -> None:
    with pytest.raises(InputError, match="scores: expected 0 or more"):
        target_confidence([[-0.1, 1.1]], [0])
