"""Attribution: steps add up to the total, and the step that was made to matter is the one that is named."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.leakage import attribute, pair_verdicts, seed_bootstrap

RNG = np.random.default_rng(0)
FLOAT = RNG.normal(0.8, 0.05, (12, 1)) + RNG.normal(0, 0.03, (12, 20))
WEIGHTS = FLOAT + RNG.normal(0, 0.02, (12, 20))
STATE = WEIGHTS - 0.1 + RNG.normal(0, 0.02, (12, 20))
RUNGS = {"float": FLOAT, "weights": WEIGHTS, "state": STATE, "again": STATE}


def test_the_step_that_matters_is_named() -> None:
    attribution = attribute(RUNGS, 0.02, resamples=200)
    assert [(step.before, step.name) for step in attribution.steps] == [
        ("float", "weights"),
        ("weights", "state"),
        ("state", "again"),
    ]
    assert [step.change.verdict for step in attribution.steps] == ["equivalent", "differs", "inconclusive"]
    assert [step.change.identical for step in attribution.steps] == [False, False, True]
    assert attribution.steps[1].change.difference.value == pytest.approx(-0.1, abs=0.01), "later minus earlier"


def test_a_rung_that_computes_the_same_is_exactly_equal() -> None:
    attribution = attribute(RUNGS, 0.02, resamples=50, same_computation=["again"])
    assert [step.change.verdict for step in attribution.steps] == ["equivalent", "differs", "equivalent"]
    assert attribution.steps[2].change.difference.high == 0.0
    again = attribute({"float": FLOAT, "again": FLOAT}, 0.02, 50, same_computation=["again"])
    assert (again.total.verdict, again.total.difference.high) == ("equivalent", 0.0)
    assert attribute({"float": FLOAT, "again": FLOAT}, 0.02, 50).total.verdict == "inconclusive"


def test_steps_add_up() -> None:
    attribution = attribute(RUNGS, 0.02, resamples=50)
    assert sum(step.change.difference.value for step in attribution.steps) == pytest.approx(
        attribution.total.difference.value
    )
    levels = [level.value for level in attribution.levels.values()]
    assert levels[-1] - levels[0] == pytest.approx(attribution.total.difference.value)


def test_it_is_made_of_the_library_s_own_measures() -> None:
    attribution = attribute(RUNGS, 0.02, 50, 3)
    assert list(attribution.levels) == list(RUNGS)
    assert attribution.levels["weights"] == seed_bootstrap(WEIGHTS, 50, 3)
    assert attribution.total == pair_verdicts({"total": (STATE, FLOAT)}, 0.02, 50, 3)["total"]


def test_pairing_sees_what_separate_intervals_hide() -> None:
    attribution = attribute({"float": FLOAT, "weights": FLOAT - 0.02 + RNG.normal(0, 0.01, (12, 20))}, 0.01)
    one, other = attribution.levels.values()
    assert other.high > one.low, "the intervals overlap"
    assert attribution.steps[0].change.verdict == "differs"


def test_refuses_a_single_rung() -> None:
    with pytest.raises(InputError, match="rungs: expected at least 2, found 1"):
        attribute({"float": FLOAT}, 0.05)
    with pytest.raises(InputError, match="second: expected 11 seeds"):
        attribute({"float": FLOAT, "weights": WEIGHTS[:11]}, 0.05)
