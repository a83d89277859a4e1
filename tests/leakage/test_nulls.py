"""Null controls and Holm's adjustment, by hand, against statsmodels, and by their error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bl_neuro import InputError
from bl_neuro.leakage import holm, null_verdicts, seed_bootstrap
from bl_neuro.leakage.nulls import detectable_accuracy


def hits(accuracy: float, seed: int, seeds: int = 5, inversions: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(inversions) < accuracy for _ in range(seeds)]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_procedure(values: list[float]) -> None:
    adjusted = holm(values)
    for level in (0.01, 0.05, 0.3):
        rejected, order = np.zeros(len(values), bool), np.argsort(values, kind="stable")
        for step, place in enumerate(order):
            if values[place] * (len(values) - step) >= level:
                break
            rejected[place] = True
        assert (adjusted < level).tolist() == rejected.tolist()


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.slow
def test_holm_is_statsmodels(size: int) -> None:  # few values: statsmodels collects garbage in every call
    values = np.random.default_rng(size).random(size) ** 3
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    assert holm(values) == pytest.approx(multitest.multipletests(values, method="holm")[1])


def test_chance_and_below_are_no_leakage() -> None:
    verdicts = null_verdicts({"untrained": hits(0.1, 0), "shuffled": hits(0.0, 1)}, classes=10)
    assert not verdicts["untrained"].above_chance
    assert not verdicts["shuffled"].above_chance
    assert verdicts["shuffled"].accuracy.value == verdicts["shuffled"].accuracy.high == 0.0
    assert verdicts["shuffled"].p < 0.05  # below chance, and surely so
    assert verdicts["untrained"].chance == 0.1


def test_a_control_above_chance_is_seen() -> None:
    verdicts = null_verdicts({"untrained": hits(0.1, 0), "leaky": hits(0.4, 1)}, classes=10)
    assert verdicts["leaky"].above_chance
    assert not verdicts["untrained"].above_chance
    assert verdicts["leaky"].accuracy == seed_bootstrap(hits(0.4, 1))
    assert 0 < verdicts["leaky"].p < verdicts["leaky"].adjusted_p < 0.05
    assert null_verdicts({"all": [np.ones(20)] * 5}, classes=10)["all"].above_chance


def test_exactly_chance_is_not_above() -> None:
    even = [np.arange(20) % 10 == 0] * 5
    assert null_verdicts({"even": even}, classes=10)["even"].p > 0.9
    level = null_verdicts({"level": [[0, 1]]}, classes=2, resamples=99)["level"]
    assert level.p == 1.0


@pytest.mark.parametrize("accuracy", [0.15, 0.19, 0.2, 0.22, 0.25])
def test_one_control_alone_is_its_interval(accuracy: float) -> None:
    for seed in range(6):
        (verdict,) = null_verdicts({"one": hits(accuracy, seed)}, classes=10).values()
        assert verdict.above_chance == (verdict.accuracy.low > 0.1 + 1e-9)
        assert verdict.p == verdict.adjusted_p


def test_more_controls_make_it_harder_to_stand_out() -> None:
    borderline = hits(0.2, 4)
    (alone,) = null_verdicts({"one": borderline}, classes=10).values()
    company = null_verdicts({"one": borderline, **{str(k): hits(0.1, k) for k in range(4)}}, classes=10)["one"]
    assert company.p == alone.p
    assert company.adjusted_p == pytest.approx(min(1, 5 * alone.p))


@pytest.mark.parametrize(("inversions", "controls"), [(10, 1), (100, 1), (100, 4), (480, 2)])
def test_the_detectable_accuracy_is_found_with_its_power(inversions: int, controls: int) -> None:
    accuracy = detectable_accuracy(0.1, inversions, controls)
    needed = next(k for k in range(inversions) if binom.sf(k - 1, inversions, 0.1) <= 0.025 / controls)
    assert binom.sf(needed - 1, inversions, accuracy) == pytest.approx(0.8)
    assert binom.sf(needed - 2, inversions, 0.1) > 0.025 / controls


def test_few_inversions_detect_only_large_excesses() -> None:
    assert detectable_accuracy(0.1, 10) == pytest.approx(0.484, abs=1e-3)
    assert detectable_accuracy(0.1, 1) == 1.0
    verdict = null_verdicts({"one": [np.zeros(10)], "other": [np.zeros(10)]}, classes=10)["one"]
    assert verdict.detectable == detectable_accuracy(0.1, 10, 2)


def test_true_controls_are_seldom_called_leaky() -> None:
    wrong = 0
    for trial in range(150):
        controls = {"a": hits(0.1, 2 * trial), "b": hits(0.1, 2 * trial + 1)}
        wrong += any(verdict.above_chance for verdict in null_verdicts(controls, 10, resamples=300).values())
    assert wrong / 150 <= 0.05


@pytest.mark.parametrize(
    ("controls", "classes", "message"),
    [
        ({}, 10, "controls: expected at least one"),
        ({"a": [[0, 1]]}, 1, "classes: expected at least 2"),
        ({"a": [[0, 0.5]]}, 10, "control 'a', seed 0: expected hits of 0 or 1"),
        ({"a": [["x"]]}, 10, "control 'a': expected an array of real numbers"),
        ({"a": []}, 10, "expected an array for each target seed"),
    ],
)
def test_refuses(controls: dict[str, list[list[float]]], classes: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        null_verdicts(controls, classes)


@pytest.mark.parametrize("values", [[-0.1], [1.1], [[0.5]], [np.nan]])
def test_holm_refuses_invalid_p_values(values: list[float]) -> None:
    with pytest.raises(InputError, match="p: expected"):
        holm(values)
