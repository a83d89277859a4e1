"""The limit of scores, against a search over all limits, and leave-one-out scores, against the attack itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.errors import InputError
from bl_neuro.leakage.lira import lira
from bl_neuro.leakage.membership_attacks import Answers
from bl_neuro.membership.calibration import leave_one_out, score_limit


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40), st.floats(0, 1))
def test_no_lower_limit_keeps_the_rate(pairs: list[tuple[int, bool]], rate: float) -> None:
    scores = np.array([float(score) for score, _ in pairs])
    members = np.array([member for _, member in pairs])
    members[0] = False
    others = scores[~members]
    limit = score_limit(scores, members, rate)
    assert (others > limit).mean() <= rate + 1e-9
    for lower in [value for value in others if value < limit]:
        assert (others > lower).mean() > rate


def test_rates_outside_the_range() -> None:
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"false_positive_rate: expected 0\.\.1"):
            score_limit(np.zeros(3), np.array([True, False, False]), rate)


def test_each_network_is_attacked_with_the_others() -> None:
    rng = np.random.default_rng(0)
    answers = Answers(rng.normal(size=(16, 20, 1)), rng.random((16, 20)), rng.random((16, 20)) < 0.5)
    scores = leave_one_out("lira", answers)
    own = answers.statistics[5] + 0.0
    np.testing.assert_array_equal(scores[5], lira(own, answers.without(5).shadows))
    with pytest.raises(InputError, match="on both sides of a sample"):
        leave_one_out("lira", answers.without(*range(12)))
