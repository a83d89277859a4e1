"""The simulation draws audits as documented, and reports broken guarantees."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

simulation = importlib.import_module("simulate_statistics")
SETTING = simulation.Setting(12, 10, 0.8, 0.7, 0.03)


@pytest.mark.parametrize("setting", [SETTING, replace(SETTING, skewed=True)])
def test_audits_differ_by_what_was_planted(setting: Any) -> None:
    first, second = simulation.drawn(setting, 0.06, 2_000, 0)
    assert first.shape == second.shape == (2_000, 12, 10)
    assert (first - second).mean() == pytest.approx(0.06, abs=0.004)
    assert first.mean() == pytest.approx(0.83, abs=0.01)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.3


def test_the_spread_is_that_of_the_seeds() -> None:
    one, other = simulation.accuracies(SETTING, np.random.default_rng(0), 5_000, 0.02)
    assert (one - other).std() == pytest.approx(0.03, rel=0.02)
    assert (one - other).mean() == pytest.approx(0.02, abs=1e-3)
    assert min(one.min(), other.min()) > 0
    assert max(one.max(), other.max()) < 1


def test_an_audit_varies_as_its_plan_says() -> None:
    first, second = simulation.drawn(SETTING, 0.06, 4_000, 1)
    errors = (first - second).mean(axis=(1, 2)).std()
    assert errors == pytest.approx(simulation.planned(SETTING, 0.06).error, rel=0.05)


def test_broken_guarantees_are_reported() -> None:
    held = simulation.rate("false positives", SETTING, np.arange(10_000) < 500)
    broken = simulation.rate("false positives", SETTING, np.arange(10_000) < 650)
    other = simulation.rate("false positives, another method", SETTING, np.arange(10_000) < 2_000)
    weak = simulation.rate("power", SETTING, np.arange(1_000) < 740, promised=0.8, difference=0.1)
    assert simulation.failures([held, other]) == []
    failures = simulation.failures([held, broken, weak])
    assert ["0.065" in failures[0], "promised 0.800" in failures[1]] == [True, True]
    assert "Not as it should be" in simulation.table([held, broken], failures)
    assert "| 5.0 (4.6 to 5.4) | 10,000 |" in simulation.table([held], [])


@pytest.mark.slow
def test_agreement_of_all_inversions_keeps_the_level() -> None:
    rows = [row for seeds in (12, 29) for row in simulation.agreement(seeds, 0.1, 2_000, seeds)]
    assert simulation.failures(rows) == []
    assert [row["rate"] for row in rows[:2]] == [0.0, 0.0]
    assert all(0.02 < row["rate"] < 0.06 for row in rows[2:])  # 0.9 ** 29 = 0.047
