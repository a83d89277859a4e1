"""Curves are the means and intervals over seeds of what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.drawing import leakage_curves
from bl_neuro.leakage import seed_band

QUERIES = np.array([10.0, 20, 40, 80])
RNG = np.random.default_rng(0)
BY_SEED = [np.sort(RNG.random((6, 4)), axis=1) for _ in range(3)]


def line(axes: Any, name: str) -> Any:
    return next(line for line in axes.lines if line.get_label() == name)


def test_lines_and_bands_are_those_of_the_bootstrap(figures: list[Any]) -> None:
    made = leakage_curves({"counts": (QUERIES, BY_SEED)}, levels={"chance": 0.1}, resamples=300, seed=4)
    band = seed_band(BY_SEED, 300, 4)
    (axes,) = figures[0].axes
    assert np.array_equal(line(axes, "counts").get_xydata(), np.stack([QUERIES, band.value], axis=1))
    edge = axes.collections[0].get_paths()[0].vertices
    for low, high in zip(band.low, band.high):
        assert low in edge[:, 1]
        assert high in edge[:, 1]
    assert axes.get_title(loc="left") == "mean and 95% interval over 3 targets"
    assert axes.get_ylim() == (0.0, 1.02)
    assert made.alt.startswith("Curves of attack accuracy against queries: counts (3 targets) goes from")
    assert f"to {band.value[-1]:.2f} (95% interval {band.low[-1]:.2f} to {band.high[-1]:.2f}) at 80" in made.alt
    assert made.alt.endswith("chance is at 0.10.")


def test_one_value_a_seed(figures: list[Any]) -> None:
    means = [values.mean(axis=0) for values in BY_SEED]
    leakage_curves({"_counts $": (QUERIES, means)}, resamples=50)
    assert line(figures[0].axes[0], " _counts $").get_ydata() == pytest.approx(np.mean(means, axis=0))


def test_the_alternative_text_states_the_unit_of_the_bands(figures: list[Any]) -> None:
    leakage_curves({"a": (QUERIES, BY_SEED[:1])}, resamples=50)
    leakage_curves({"a": (QUERIES, [BY_SEED[0][0]])}, resamples=50)
    leakage_curves({"a": (QUERIES, BY_SEED[:1]), "b": (QUERIES, BY_SEED)}, resamples=50)
    titles = [figure.axes[0].get_title(loc="left") for figure in figures]
    assert titles == [
        "mean and 95% interval over the inversions of 1 target",
        "one run",
        "mean and 95% interval over targets",
    ]
    labels = [text.get_text() for text in figures[2].legends[0].get_texts()]
    assert labels == ["a (1 target)", "b (3 targets)"]


def test_names_of_levels_keep_clear_of_the_curves(figures: list[Any]) -> None:
    rising = [np.array([0.1, 0.5, 0.9, 0.9])]
    leakage_curves({"a": (QUERIES, rising)}, levels={"high": 0.9, "low": 0.1}, resamples=20)
    sides = {text.get_text(): text.get_ha() for text in figures[0].axes[0].texts}
    assert sides == {"high": "left", "low": "right"}


def test_six_lines_differ_in_more_than_colour(figures: list[Any]) -> None:
    leakage_curves({str(k): (QUERIES, BY_SEED) for k in range(6)}, limits=None, logarithmic=True, resamples=20)
    drawn = [line(figures[0].axes[0], str(k)) for k in range(6)]
    assert len({line.get_marker() for line in drawn}) == 6
    assert len({line.get_color() for line in drawn}) == 6
    assert figures[0].axes[0].get_xscale() == "log"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curves": {}}, "curves: expected 1 to 6, found 0"),
        ({"curves": {str(k): (QUERIES, BY_SEED) for k in range(7)}}, "draw several figures"),
        ({"curves": {"a": (QUERIES[::-1], BY_SEED)}}, "queries of 'a': expected"),
        ({"curves": {"a": (QUERIES[:3], BY_SEED)}}, "values of 'a': expected"),
        ({"curves": {"a": (QUERIES, [])}}, "expected an array for each target seed"),
        ({"curves": {"a": (QUERIES - 10, BY_SEED)}, "logarithmic": True}, "values above 0 for a logarithmic axis"),
        ({"levels": {"chance": np.nan}}, "level 'chance': expected numbers"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        leakage_curves(**{"curves": {"a": (QUERIES, BY_SEED)}, "resamples": 20, **changes})
