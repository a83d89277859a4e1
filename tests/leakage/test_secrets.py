"""Bits, ranks, exposure and guesses of planted secrets, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.errors import InputError
from bl_neuro.leakage.secrets import exposures, guessed_secrets, recovered_bits, secret_ranks


@pytest.mark.parametrize(
    ("accuracy", "choices", "bits"),
    [
        (1.0, 4, 2.0),
        (0.25, 4, 0.0),
        (0.1, 4, 0.0),  # below chance says nothing
        (0.5, 4, 2 - 1 - 0.5 * np.log2(3)),
        (0.5, 2, 0.0),
        (0.75, 2, 1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)),
        (1.0, 10, np.log2(10)),
    ],
)
def test_bits_follow_fanos_inequality(accuracy: float, choices: int, bits: float) -> None:
    assert recovered_bits(accuracy, choices) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize("choices", [2, 4, 10])
def test_bits_equal_the_mutual_information_of_a_symmetric_channel(choices: int) -> None:
    for accuracy in np.linspace(1 / choices, 1, 7)[1:]:
        wrong = (1 - accuracy) / (choices - 1)
        joint = (np.full((choices, choices), wrong) + (accuracy - wrong) * np.eye(choices)) / choices
        known = joint > 0
        information = (joint[known] * np.log2(joint[known] * choices**2)).sum()
        assert recovered_bits(float(accuracy), choices) == pytest.approx(information, abs=1e-9)


def test_ranks_count_from_the_highest_score_and_ties_share_their_mean() -> None:
    scores = [[0.1, 0.9, 0.5, 0.2], [1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 0.0, 3.0], [0.0, 0.0, 1.0, 1.0]]
    assert secret_ranks(scores, [2, 0, 0, 1]).tolist() == [2.0, 2.5, 2.0, 3.5]


def test_exposure_is_the_bits_that_the_rank_saves() -> None:
    assert exposures([1, 2, 4, 64], 64).tolist() == [6.0, 5.0, 4.0, 0.0]


def test_guesses_are_the_best_choices_and_ties_are_broken_evenly() -> None:
    rng = np.random.default_rng(0)
    assert guessed_secrets([[0, 2, 1], [5, 1, 2]], rng).tolist() == [1, 0]
    tied = guessed_secrets(np.tile([1.0, 0.0, 1.0, 1.0], (3000, 1)), rng)
    counts = np.bincount(tied, minlength=4)
    assert counts[1] == 0
    assert np.abs(counts[[0, 2, 3]] - 1000).max() < 120  # over four standard deviations


def test_wrong_values_are_refused() -> None:
    with pytest.raises(InputError, match=r"scores: expected \(n, choices\) with at least two choices"):
        secret_ranks([[1.0]], [0])
    with pytest.raises(InputError, match=r"secrets: expected 0\.\.1, found 2\.\.2"):
        secret_ranks([[1.0, 0.0]], [2])
    with pytest.raises(InputError, match=r"ranks: expected 1\.\.4"):
        exposures([5], 4)
    with pytest.raises(InputError, match=r"accuracy: expected 0\.\.1"):
        recovered_bits(1.2, 4)
