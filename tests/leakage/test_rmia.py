"""RMIA against its definition, computed pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bl_neuro import InputError
from bl_neuro.leakage.rmia import GAMMA, OFFLINE_A, rmia, rmia_offline
from bl_neuro.leakage.shadows import Shadows

RNG = np.random.default_rng(0)
NETWORKS, SAMPLES = 10, 12
MEMBERS = np.arange(NETWORKS)[:, None] % 2 == np.arange(SAMPLES) % 2
VALUES = RNG.random((NETWORKS, SAMPLES, 1))
SHADOWS = Shadows(VALUES, MEMBERS)
TARGET = RNG.random(SAMPLES)
EVERYONE = np.ones(SAMPLES, dtype=bool)
SOME = np.arange(SAMPLES) < 5


def by_pairs(usual: Any, reference: Any, gamma: float = GAMMA, target: Any = TARGET) -> list[float]:
    """The definition, with a loop over pairs."""
    ratio = np.asarray(target) / usual
    others = [[z for z in np.flatnonzero(reference) if z != x] for x in range(len(ratio))]
    return [float(np.mean([ratio[x] / ratio[z] > gamma for z in others[x]])) for x in range(len(ratio))]


def sides() -> tuple[Any, Any]:
    means = [[VALUES[chosen[:, i], i, 0].mean() for i in range(SAMPLES)] for chosen in (MEMBERS, ~MEMBERS)]
    return np.array(means[0]), np.array(means[1])


@pytest.mark.parametrize("reference", [EVERYONE, SOME], ids=["all", "some"])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_scores_are_shares_of_pairs(reference: Any, gamma: float) -> None:
    inside, outside = sides()
    assert rmia(TARGET, SHADOWS, reference, gamma) == pytest.approx(by_pairs((inside + outside) / 2, reference, gamma))
    usual = ((1 + OFFLINE_A) * outside + 1 - OFFLINE_A) / 2
    assert rmia_offline(TARGET, SHADOWS, reference, gamma) == pytest.approx(by_pairs(usual, reference, gamma))


@settings(max_examples=20)
@given(st.floats(0, 1))
def test_the_offline_mean_is_that_of_both_sides_if_insiders_are_as_a_says(a: float) -> None:
    """Equation 10 stands for mean_in = a mean_out + 1 - a."""
    _, outside = sides()
    values = np.where(MEMBERS, a * outside + 1 - a, VALUES[..., 0])
    exact = Shadows(values[..., None], MEMBERS)
    assert rmia_offline(TARGET, SHADOWS, EVERYONE, a=a) == pytest.approx(rmia(TARGET, exact, EVERYONE))


def test_a_hand_made_case() -> None:
    members = np.tile([[True], [True], [False], [False]], (1, 3))
    values = np.tile([[0.8], [0.6], [0.2], [0.4]], (1, 3))[..., None]
    shadows, reference = Shadows(values, members), np.ones(3, dtype=bool)
    assert rmia([0.9, 0.5, 0.1], shadows, reference).tolist() == [1.0, 0.5, 0.0]
    assert rmia([0.5, 0.5, 0.1], shadows, reference).tolist() == [0.5, 0.5, 0.0]  # equal samples do not win
    assert rmia([0.9, 0.5, 0.1], shadows, reference, gamma=2.0).tolist() == [0.5, 0.5, 0.0]  # 0.9 / 0.5 is too little
    assert rmia([0.9, 0.5, 0.1], shadows, reference, gamma=0.5).tolist() == [1.0, 1.0, 0.0]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=20), st.sampled_from([0.3, 1.0, 3.0]))
def test_ties_count_as_by_pairs(quarters: list[int], gamma: float) -> None:
    target, count = np.array(quarters) / 4, len(quarters)
    values = np.tile(np.array([0.5, 0.5, 0.5, 0.5])[:, None, None], (1, count, 1))
    shadows = Shadows(values, np.tile([[True], [True], [False], [False]], (1, count)))
    usual, everyone = np.full(count, 0.5), np.ones(count, dtype=bool)
    raised = np.maximum(target, 1e-12)
    assert rmia(target, shadows, everyone, gamma) == pytest.approx(by_pairs(usual, everyone, gamma, raised))


def test_offline_never_reads_the_networks_that_were_trained_on_a_sample() -> None:
    changed = Shadows(np.where(MEMBERS[..., None], 0.0, VALUES), MEMBERS)
    assert (rmia_offline(TARGET, changed, EVERYONE) == rmia_offline(TARGET, SHADOWS, EVERYONE)).all()


def test_the_order_is_that_of_the_ratio() -> None:
    inside, outside = sides()
    scores = rmia(TARGET, SHADOWS, EVERYONE)
    assert np.argsort(scores).tolist() == np.argsort(2 * TARGET / (inside + outside)).tolist()


def test_samples_of_which_too_little_is_known_have_a_ratio_of_1() -> None:
    members, half = MEMBERS.copy(), np.full(SAMPLES, 0.5)
    members[:, 0] = np.arange(NETWORKS) == 0
    shadows = Shadows(np.full_like(VALUES, 0.5), members)
    higher = np.where(np.arange(SAMPLES) < 6, 0.6, 0.4)
    assert rmia(half, shadows, EVERYONE).tolist() == [0.0] * SAMPLES
    assert rmia(higher, shadows, EVERYONE)[0] == pytest.approx(6 / 11)  # above the six samples of ratio 0.8
    strange = Shadows(np.where(np.arange(SAMPLES)[:, None] == 0, 0.01, shadows.values), members)
    assert (rmia(higher, strange, EVERYONE) == rmia(higher, shadows, EVERYONE)).all()


@pytest.mark.parametrize("attack", [rmia, rmia_offline])
def test_what_does_not_fit_is_refused(attack: Any) -> None:
    for target, shadows, reference, message in (
        (TARGET * 2, SHADOWS, EVERYONE, "probabilities: expected probabilities, found"),
        (TARGET, Shadows(VALUES - 1, MEMBERS), EVERYONE, "shadows: expected probabilities, found"),
        (TARGET[:3], SHADOWS, EVERYONE, "values: expected \\(12, 1\\)"),
        (TARGET, SHADOWS, EVERYONE[:3], "reference: expected booleans \\(12,\\)"),
        (TARGET, SHADOWS, EVERYONE.astype(int), "reference: expected booleans"),
        (TARGET, SHADOWS, np.arange(SAMPLES) == 0, "at least 2 of them True"),
        (TARGET, Shadows(VALUES[:1], MEMBERS[:1]), EVERYONE, "train more"),
    ):
        with pytest.raises(InputError, match=message):
            attack(target, shadows, reference)
    with pytest.raises(InputError, match="gamma: expected above 0"):
        attack(TARGET, SHADOWS, EVERYONE, 0.0)


def test_a_is_a_share() -> None:
    with pytest.raises(InputError, match="a: expected 0"):
        rmia_offline(TARGET, SHADOWS, EVERYONE, a=1.1)
