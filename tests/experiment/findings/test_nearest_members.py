"""What is said of inversions and single samples."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.nearest_members import likeness_sentence, over_targets
from bl_neuro.leakage import Likeness


def auc(value: float, low: float | None, high: float | None) -> Mean:
    return Mean(value=value, low=low, high=high, seeds=4, n=40)


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (auc(0.51, 0.49, 0.53), "Not shown to resemble training samples more"),
        (auc(0.51, 0.501, 0.519), "Resemble training samples barely more"),
        (auc(0.6, 0.55, 0.65), "Resemble training samples somewhat more"),
        (auc(0.9, 0.85, 0.95), "Resemble training samples clearly more"),
        (auc(0.45, 0.41, 0.49), "Resemble training samples less"),
        (auc(0.51, None, None), "of one target, which gives no interval"),
    ],
)
def test_a_sentence_says_no_more_than_the_interval(mean: Mean, words: str) -> None:
    assert words in likeness_sentence(mean)


def test_samples_that_all_targets_share_widen_the_interval_and_own_samples_do_not() -> None:
    rng = np.random.default_rng(0)
    values = 0.5 + rng.normal(0, 0.001, 8)
    common, own = rng.normal(0, 0.02, 200), rng.normal(0, 0.02, (8, 200))
    shared = over_targets([Likeness(value, value + common) for value in values], 100)
    apart = over_targets([Likeness(value, value + draws) for value, draws in zip(values, own)], 100)
    assert shared.low is not None
    assert shared.high is not None
    assert apart.low is not None
    assert apart.high is not None
    assert (shared.high - shared.low) / 2 == pytest.approx(0.02 * 2.36, rel=0.2)  # Student's quantile, 7 degrees
    assert apart.high - apart.low < (shared.high - shared.low) / 2
    assert shared.value == apart.value == pytest.approx(values.mean())


def test_one_target_gives_no_interval() -> None:
    alone = over_targets([Likeness(0.5, np.full(200, 0.5))], 100)
    assert (alone.low, alone.high) == (None, None)
