"""The waterfall of an attribution: bars from level to level, filled where a difference is significant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro.drawing import attribution_waterfall
from bl_neuro.leakage import attribute

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
FLOAT = RNG.normal(0.8, 0.05, (12, 1)) + RNG.normal(0, 0.03, (12, 20))
WEIGHTS = FLOAT + RNG.normal(0, 0.02, (12, 20))
STATE = WEIGHTS - 0.1 + RNG.normal(0, 0.02, (12, 20))
RUNGS = {"float": FLOAT, "weights $": WEIGHTS, "state": STATE, "again": STATE}
ATTRIBUTION = attribute(RUNGS, 0.02, resamples=100, same_computation=["again"])


def test_bars_go_from_level_to_level(figures: list[Any]) -> None:
    attribution_waterfall(ATTRIBUTION)
    axes, _ = figures[0].axes
    levels = [level.value for level in ATTRIBUTION.levels.values()]
    assert len(axes.patches) == 3
    for bar, before, after in zip(axes.patches, levels, levels[1:]):
        assert bar.get_x() == pytest.approx(before)
        assert bar.get_width() == pytest.approx(after - before)
    lines = [list(line.get_xdata()) for line in axes.lines]
    for before, step in zip(levels, ATTRIBUTION.steps):
        change = step.change.difference
        assert [before + change.low, before + change.high] in lines
    low, high = axes.get_xlim()
    assert all(low < value < high for line in lines for value in line)


def test_a_difference_that_was_found_is_filled(figures: list[Any]) -> None:
    attribution_waterfall(ATTRIBUTION)
    opacity = [bar.get_facecolor() for bar in figures[0].axes[0].patches]
    assert [colour[:3] == (1.0, 1.0, 1.0) for colour in opacity] == [True, False, True]


def test_names_and_verdicts_stand_beside_the_bars(figures: list[Any]) -> None:
    made = attribution_waterfall(ATTRIBUTION, measure="confidence", names={"state": "fixed-point state"})
    left, right = figures[0].axes
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "float", "weights $", "fixed-point state", "again", "in all",
    ]  # fmt: skip
    labels = [text.get_text() for text in right.get_yticklabels()]
    change = 100 * ATTRIBUTION.steps[1].change.difference.value
    assert labels[2] == f"−{-change:.1f} points, differs"
    assert labels[3] == "0, identical"
    assert labels[4].endswith("points, differs")
    assert made.alt.startswith(f"Waterfall of confidence, from {FLOAT.mean():.3f} (float) to")
    assert ATTRIBUTION.steps[0].change.sentence in made.alt
    assert made.alt.endswith(f"In all, {ATTRIBUTION.total.sentence}.")
    assert b"fixed-point state" in made.svg


def test_one_target_has_no_intervals_of_change(figures: list[Any]) -> None:
    attribution_waterfall(attribute({name: rows[:1] for name, rows in RUNGS.items()}, 0.02, resamples=50))
    axes, _ = figures[0].axes
    assert axes.get_title(loc="left") == "1 target: how targets differ is not known"
    assert all(np.isfinite(axes.get_xlim()))


def test_equal_attributions_give_equal_bytes() -> None:
    assert attribution_waterfall(ATTRIBUTION).png == attribution_waterfall(ATTRIBUTION).png


def test_equal_hits_in_different_arithmetics_are_not_called_identical(figures: list[Any]) -> None:
    same = [np.array([1.0, 0.0])] * 3
    rungs = {"float": same, "state": same}
    for attribution in (attribute(rungs, 0.1), attribute(rungs, 0.1, same_computation=["state"])):
        attribution_waterfall(attribution)
    labels = [[text.get_text() for text in figure.axes[1].get_yticklabels()] for figure in figures]
    assert [of_one[1] for of_one in labels] == ["+0.0 points, inconclusive", "0, identical"]
