"""Attacks on every network in turn: which shadow networks they use, and what they and their nulls find."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.leakage.crossed import pool_weights
from bl_neuro.leakage.lira import lira
from bl_neuro.leakage.membership_attacks import (
    MEMBERSHIP_ATTACKS,
    WITHOUT_SHADOWS,
    Answers,
    attack_each,
    crossed_measure,
    mean_curve,
)
from bl_neuro.leakage.privacy_bound import epsilon_of_scores
from bl_neuro.leakage.roc import MEASURES, RocCurve, roc_curve, separation

NETWORKS, SAMPLES = 12, 120
every_attack = pytest.mark.parametrize("attack", MEMBERSHIP_ATTACKS)


def answers(effect: float, seed: int = 0, networks: int = NETWORKS) -> Answers:
    """Answers of networks that know their members by `effect`."""
    rng = np.random.default_rng(seed)
    members = rng.random((networks, SAMPLES)).argsort(axis=1) < SAMPLES // 2
    values = 2 * rng.standard_normal(SAMPLES) + effect * members + rng.standard_normal((networks, SAMPLES))
    return Answers(values[..., None], 1 / (1 + np.exp(-values)), members)


TARGETS, WEIGHTS = answers(1.5), pool_weights(SAMPLES, 20)


@every_attack
def test_members_are_found_and_members_of_another_network_are_not(attack: str) -> None:
    results = list(attack_each(attack, TARGETS, WEIGHTS))
    aucs, nulls = (np.mean([values[0] for values in rows]) for rows in zip(*((r.measures, r.null) for r in results)))
    assert len(results) == NETWORKS
    assert nulls == pytest.approx(0.5, abs=0.05)
    assert aucs > (0.6 if attack in WITHOUT_SHADOWS else 0.7)


@every_attack
def test_without_an_effect_nothing_is_found(attack: str) -> None:
    aucs = [result.measures[0] for result in attack_each(attack, answers(0.0), WEIGHTS)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.04)


@every_attack
def test_a_target_is_attacked_without_itself_and_its_null_without_the_other_either(attack: str) -> None:
    score = MEMBERSHIP_ATTACKS[attack]
    results = list(attack_each(attack, TARGETS, WEIGHTS))
    for number in (0, NETWORKS - 1):
        other = (number + 1) % NETWORKS
        values, likely = TARGETS.statistics[number], TARGETS.probabilities[number]
        own = score(values, likely, TARGETS.without(number))
        null = score(values, likely, TARGETS.without(number, other))
        assert (results[number].measures == separation(roc_curve(own, TARGETS.members[number]))[0]).all()
        assert (results[number].null == separation(roc_curve(null, TARGETS.members[other]))[0]).all()
        resampled = separation(roc_curve(own, TARGETS.members[number], WEIGHTS))
        assert (results[number].resampled == resampled).all()
        assert results[number].null_resampled.shape == (20, len(MEASURES))
        assert results[number].epsilon == epsilon_of_scores(own, TARGETS.members[number])


@every_attack
def test_shadow_networks_of_the_attacker_replace_the_other_targets(attack: str) -> None:
    shadows = answers(1.5, seed=1, networks=10)
    results = list(attack_each(attack, TARGETS, WEIGHTS, shadows))
    own = MEMBERSHIP_ATTACKS[attack](TARGETS.statistics[2], TARGETS.probabilities[2], shadows)
    assert (results[2].measures == separation(roc_curve(own, TARGETS.members[2]))[0]).all()


@every_attack
def test_the_membership_of_the_target_is_not_an_input(attack: str) -> None:
    swapped = TARGETS.members.copy()
    swapped[4] = ~swapped[4]
    first = list(attack_each(attack, TARGETS, WEIGHTS))[4]
    second = list(attack_each(attack, Answers(TARGETS.statistics, TARGETS.probabilities, swapped), WEIGHTS))[4]
    assert second.measures[0] == pytest.approx(1 - first.measures[0])


def test_attacks_use_what_they_are_named_for() -> None:
    values, likely, shadows = TARGETS.statistics[0], TARGETS.probabilities[0], TARGETS.without(0)
    scores = {name: attack(values, likely, shadows) for name, attack in MEMBERSHIP_ATTACKS.items()}
    assert (scores["lira"] == lira(values, shadows.shadows)).all()
    assert (scores["threshold"] == values[:, 0]).all()
    for name in ("lira", "lira_offline", "threshold"):
        assert (MEMBERSHIP_ATTACKS[name](values, likely / 2, shadows) == scores[name]).all()
    for name in ("rmia", "rmia_offline"):
        assert (MEMBERSHIP_ATTACKS[name](values / 2, likely, shadows) == scores[name]).all()
    assert {"threshold"} == WITHOUT_SHADOWS


def test_answers_without_networks() -> None:
    left = TARGETS.without(1, 3)
    for name in ("statistics", "probabilities", "members"):
        assert (getattr(left, name) == np.delete(getattr(TARGETS, name), [1, 3], axis=0)).all()
    assert left.shadows.values.shape == (NETWORKS - 2, SAMPLES, 1)
    assert (left.likely.values[..., 0] == left.probabilities).all()


def test_one_measure_over_targets() -> None:
    values, resampled = np.arange(12.0).reshape(3, 4), np.arange(24.0).reshape(3, 2, 4)
    one = crossed_measure(values, resampled, 2, 50)
    assert one.values.tolist() == [2.0, 6.0, 10.0]
    assert one.resampled.tolist() == [[2.0, 10.0, 18.0], [6.0, 14.0, 22.0]]
    assert one.samples == 50


def test_the_mean_curve_is_the_mean_of_true_positive_rates() -> None:
    curves = [
        RocCurve(np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.4, 1.0]])),
        RocCurve(np.array([[0.0, 0.5, 1.0]]), np.array([[0.0, 0.8, 1.0]])),
    ]
    assert mean_curve(curves, np.array([0.1, 0.5, 1.0])) == pytest.approx([0.2, 0.6, 1.0])
