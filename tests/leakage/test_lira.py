"""LiRA against Gaussians of SciPy, by what changes of units leave alone, and by who is a member."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from bl_neuro import InputError
from bl_neuro.leakage.lira import LEAST_VARIANCE, lira, lira_offline
from bl_neuro.leakage.shadows import Shadows

RNG = np.random.default_rng(0)
NETWORKS, SAMPLES = 12, 9
MEMBERS = np.arange(NETWORKS)[:, None] % 2 == np.arange(SAMPLES) % 2
VALUES = RNG.normal(0, 1, (NETWORKS, SAMPLES, 2)) + MEMBERS[..., None]
TARGET = RNG.normal(0, 1, (SAMPLES, 2))
CENTRES: dict[Any, Any] = {"mean": np.mean, "median": np.median}
both_centres = pytest.mark.parametrize("centre", ["mean", "median"])


@both_centres
def test_the_score_of_one_statistic_is_the_ratio_of_two_gaussians(centre: Any) -> None:
    scores = lira(TARGET[:, :1], Shadows(VALUES[..., :1], MEMBERS), 0.0, centre)
    for sample, score in enumerate(scores):
        sides = [VALUES[chosen[:, sample], sample, 0] for chosen in (MEMBERS, ~MEMBERS)]
        inside, outside = (norm.logpdf(TARGET[sample, 0], CENTRES[centre](side), side.std()) for side in sides)
        assert score == pytest.approx(inside - outside)


@both_centres
def test_several_statistics_have_their_covariances(centre: Any) -> None:
    scores = lira(TARGET, Shadows(VALUES, MEMBERS), 0.0, centre)
    for sample, score in enumerate(scores):
        sides = [VALUES[chosen[:, sample], sample] for chosen in (MEMBERS, ~MEMBERS)]
        inside, outside = (
            multivariate_normal(CENTRES[centre](side, axis=0), np.cov(side.T, bias=True)).logpdf(TARGET[sample])
            for side in sides
        )
        assert score == pytest.approx(inside - outside)


@pytest.mark.parametrize("shrinkage", [0.0, 0.25, 1.0])
def test_shrinkage_mixes_the_variance_of_a_sample_with_the_mean_over_samples(shrinkage: float) -> None:
    shadows = Shadows(VALUES[..., :1], MEMBERS)
    sides = [np.stack([VALUES[chosen[:, i], i, 0] for i in range(SAMPLES)]) for chosen in (MEMBERS, ~MEMBERS)]
    densities, distances = [], []
    for side in sides:
        variance = (1 - shrinkage) * side.var(axis=1) + shrinkage * side.var(axis=1).mean()
        densities.append(norm.logpdf(TARGET[:, 0], side.mean(axis=1), np.sqrt(variance)))
        distances.append((TARGET[:, 0] - side.mean(axis=1)) / np.sqrt(variance))
    assert lira(TARGET[:, :1], shadows, shrinkage) == pytest.approx(densities[0] - densities[1])
    assert lira_offline(TARGET[:, :1], shadows, shrinkage) == pytest.approx(distances[1])


def test_the_offline_score_adds_distances_above_the_centre_of_outsiders() -> None:
    values = np.array([[[0.0, 10.0]], [[2.0, 14.0]], [[99.0, 99.0]]])
    shadows = Shadows(values, np.array([[False], [False], [True]]))
    score = lira_offline([[3.0, 10.0]], shadows, 0.0)
    assert score == pytest.approx([(3 - 1) / 1 + (10 - 12) / 2])


def test_the_offline_score_has_the_order_of_the_papers_probability() -> None:
    one, shadows = (
        np.linspace(-3, 3, 7)[:, None],
        Shadows(np.tile([[[-1.0]], [[1.0]]], (1, 7, 1)), np.zeros((2, 7), bool)),
    )
    assert norm.cdf(lira_offline(one, shadows, 0.0)) == pytest.approx(1 - norm.sf(one[:, 0]), abs=1e-9)


@settings(max_examples=20)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_units_do_not_matter(scale: float, shift: float) -> None:
    for attack in (lira, lira_offline):
        plain = attack(TARGET, Shadows(VALUES, MEMBERS))
        assert attack(scale * TARGET + shift, Shadows(scale * VALUES + shift, MEMBERS)) == pytest.approx(
            plain, abs=1e-6
        )


@settings(max_examples=20)
@given(st.permutations(range(NETWORKS)))
def test_the_order_of_the_shadow_networks_does_not_matter(order: list[int]) -> None:
    shadows = Shadows(VALUES[order], MEMBERS[order])
    for attack in (lira, lira_offline):
        assert attack(TARGET, shadows) == pytest.approx(attack(TARGET, Shadows(VALUES, MEMBERS)))


def test_exchanging_the_sides_turns_the_sign() -> None:
    assert lira(TARGET, Shadows(VALUES, ~MEMBERS)) == pytest.approx(-lira(TARGET, Shadows(VALUES, MEMBERS)))


def test_offline_never_reads_the_networks_that_were_trained_on_a_sample() -> None:
    changed = np.where(MEMBERS[..., None], 1e3, VALUES)
    assert (lira_offline(TARGET, Shadows(changed, MEMBERS)) == lira_offline(TARGET, Shadows(VALUES, MEMBERS))).all()


def test_samples_of_which_too_little_is_known_score_0_and_change_no_other() -> None:
    members, values, target = (
        np.concatenate([array] * 2, axis=axis) for array, axis in ((MEMBERS, 1), (VALUES, 1), (TARGET, 0))
    )
    few = members.copy()
    few[:, 0] = np.arange(NETWORKS) == 0
    for attack, count in ((lira, 1), (lira_offline, NETWORKS - 1)):
        few[:, 0] = np.arange(NETWORKS) < count
        strange = values.copy()
        strange[:, 0] = 1e6 * RNG.random((NETWORKS, 2))
        scores, plain = attack(target, Shadows(strange, few)), attack(target, Shadows(values, few))
        assert scores[0] == 0
        assert scores[1:] == pytest.approx(plain[1:])
        assert (scores[1:] != 0).all()


def test_equal_statistics_give_finite_scores() -> None:
    values = np.zeros((4, 1, 1))
    shadows = Shadows(values, np.array([[True], [True], [False], [False]]))
    assert lira([[0.0]], shadows) == pytest.approx([0.0])
    assert lira_offline([[1.0]], shadows) == pytest.approx([LEAST_VARIANCE**-0.5])


@pytest.mark.parametrize("attack", [lira, lira_offline])
def test_what_does_not_fit_is_refused(attack: Any) -> None:
    shadows = Shadows(VALUES, MEMBERS)
    with pytest.raises(InputError, match="values: expected \\(9, 2\\)"):
        attack(TARGET[:, :1], shadows)
    with pytest.raises(InputError, match="shrinkage: expected 0"):
        attack(TARGET, shadows, 1.5)
    with pytest.raises(InputError, match="NaN or infinity"):
        attack(np.full_like(TARGET, np.nan), shadows)
    with pytest.raises(InputError, match="train more"):
        attack(TARGET, Shadows(VALUES[:1], MEMBERS[:1]))


def test_online_needs_both_sides_and_offline_one() -> None:
    shadows = Shadows(VALUES, np.zeros_like(MEMBERS))
    assert np.isfinite(lira_offline(TARGET, shadows)).all()
    with pytest.raises(InputError, match="on both sides of a sample for most samples, found them for 0 of 9"):
        lira(TARGET, shadows)


@pytest.mark.parametrize(
    ("values", "members", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3), bool), "expected \\(networks, samples, statistics\\)"),
        (np.zeros((2, 0, 1)), np.zeros((2, 0), bool), "expected \\(networks, samples, statistics\\)"),
        (np.zeros((2, 3, 1)), np.zeros((2, 3)), "members: expected booleans \\(2, 3\\), found float64"),
        (np.zeros((2, 3, 1)), np.zeros((3, 2), bool), "found bool of \\(3, 2\\)"),
        (np.full((2, 3, 1), np.inf), np.zeros((2, 3), bool), "NaN or infinity"),
    ],
)
def test_shadows_that_do_not_fit_are_refused(values: Any, members: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Shadows(values, members)


def test_shadows_without_a_network() -> None:
    left = Shadows(VALUES, MEMBERS).without(3)
    assert (left.values == np.delete(VALUES, 3, axis=0)).all()
    assert (left.members == np.delete(MEMBERS, 3, axis=0)).all()
    assert (left.inside + left.outside == NETWORKS - 1).all()
    assert (left.inside == left.members.sum(axis=0)).all()
