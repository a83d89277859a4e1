"""Plots leakage against queries: one line per attack, with its 95% interval over target seeds as a band."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import INK, QUIET, SERIES, Picture, dress, rendered
from bl_neuro.drawing.style import MARKERS
from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import RESAMPLES, Band, seed_band
from bl_neuro.leakage.checked import numbers
from bl_neuro.rounding import fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINESTYLES = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1.5)))


class _Curve(NamedTuple):
    queries: FloatArray
    band: Band


def leakage_curves(
    curves: Mapping[str, tuple[npt.ArrayLike, Sequence[npt.ArrayLike]]],
    *,
    measure: str = "attack accuracy",
    levels: Mapping[str, float] | None = None,
    limits: tuple[float, float] | None = (0.0, 1.0),
    logarithmic: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Picture:
    """Plots means over target seeds with 95% intervals (`seed_band`) against queries per class.

    curves: up to six curves by name, each a pair of queries (G,), increasing, and one array per target seed: (G,), or
    (n, G) with one row per inversion. `bl_neuro.leakage.held_at` evaluates traces at common queries. With one seed the
    band is over its inversions. levels: named horizontal lines, such as {"chance": 0.1}. limits: limits of the y axis,
    None to fit the data. logarithmic: whether the query axis is logarithmic.

    Raises:
        InputError: no curve or more than six, queries that do not increase, or shapes that do not match.
    """
    if not 1 <= len(curves) <= len(SERIES):
        raise InputError(f"curves: expected 1 to {len(SERIES)}, found {len(curves)}; draw several figures")
    drawn = {name: _curve(name, *course, resamples, seed) for name, course in curves.items()}
    if logarithmic and min(curve.queries[0] for curve in drawn.values()) <= 0:
        raise InputError("queries: expected values above 0 for a logarithmic axis")
    lines = {name: float(numbers(level, f"level {name!r}")) for name, level in (levels or {}).items()}
    return rendered(_figure(drawn, lines, measure, limits, logarithmic), _alt(drawn, lines, measure))


def _curve(name: str, queries: npt.ArrayLike, values: Sequence[npt.ArrayLike], resamples: int, seed: int) -> _Curve:
    spent = numbers(queries, f"queries of {name!r}")
    if spent.ndim != 1 or len(spent) == 0 or (np.diff(spent) <= 0).any() or spent[0] < 0:
        raise InputError(
            f"queries of {name!r}: expected non-negative, increasing values (G,), found shape {spent.shape}"
        )
    rows = [np.atleast_2d(numbers(row, f"values of {name!r}")) for row in values]
    for row in rows:
        if row.ndim != 2 or row.shape[1] != len(spent):
            raise InputError(f"values of {name!r}: expected (..., {len(spent)}) like the queries, found {row.shape}")
    return _Curve(spent, seed_band(rows, resamples, seed))


def _figure(
    curves: Mapping[str, _Curve],
    levels: Mapping[str, float],
    measure: str,
    limits: tuple[float, float] | None,
    logarithmic: bool,
) -> Figure:
    figure = new_figure(5.6, 3.6, constrained=True)
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes = figure.subplots()
    same = len({curve.band.seeds for curve in curves.values()}) == 1
    for place, (name, curve) in enumerate(curves.items()):
        _draw(axes, name if same else f"{name} ({_targets(curve.band)})", curve, place)
    for name, level in levels.items():
        _draw_level(axes, name, level, curves.values())
    if limits is not None:
        axes.set_ylim(limits[0], limits[1] + 0.02 * (limits[1] - limits[0]))
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.minorticks_off()
    else:
        axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("queries per class", fontsize=8.5, color=QUIET)
    axes.set_ylabel(measure, fontsize=8.5, color=QUIET, parse_math=False)
    axes.set_title(_counted(curves.values()), loc="left", fontsize=7.5, color=QUIET)
    dress(axes, "y")
    legend = figure.legend(
        loc="outside upper left", ncols=3, frameon=False, fontsize=8, labelcolor=INK, handlelength=2.6,
        columnspacing=1.4,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(axes: Axes, name: str, curve: _Curve, place: int) -> None:
    colour, band = SERIES[place], curve.band
    label = f" {name}" if name.startswith("_") else name  # Matplotlib leaves others out of the legend
    axes.fill_between(curve.queries, band.low, band.high, color=colour, alpha=0.14, linewidth=0, zorder=2)
    axes.plot(
        curve.queries, band.value, color=colour, linewidth=1.6, linestyle=LINESTYLES[place], marker=MARKERS[place],
        markersize=4, markevery=max(1, len(curve.queries) // 8), label=label, zorder=3,
        clip_on=False,
    )  # fmt: skip


def _draw_level(axes: Axes, name: str, level: float, curves: Collection[_Curve]) -> None:
    """Draws a horizontal line, labelled at the end that is further from the curves."""
    axes.axhline(level, color=QUIET, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    room = {side: _distance(level, curves, side) for side in ("right", "left")}
    side = max(room, key=lambda place: room[place])
    axes.annotate(
        name, (float(side == "right"), level), (-2 if side == "right" else 2, 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha=side, fontsize=7.5, color=QUIET, parse_math=False,
    )  # fmt: skip


def _distance(level: float, curves: Collection[_Curve], side: str) -> float:
    """Smallest distance between a curve and the level in the left third of the queries, or in the rest."""
    border = max(curve.queries[-1] for curve in curves) / 3
    near = [np.abs(curve.band.value - level)[(curve.queries < border) == (side == "left")] for curve in curves]
    return float(min((distances.min() for distances in near if len(distances)), default=np.inf))


def _counted(curves: Collection[_Curve]) -> str:
    """What the bands vary over, in words."""
    seeds = {curve.band.seeds for curve in curves}
    if all(curve.band.n == 1 for curve in curves):
        return "one run"
    if seeds == {1}:
        return "mean and 95% interval over the inversions of 1 target"
    return "mean and 95% interval over " + (f"{max(seeds)} targets" if len(seeds) == 1 else "targets")


def _targets(band: Band) -> str:
    return "1 target" if band.seeds == 1 else f"{band.seeds} targets"


def _alt(curves: Mapping[str, _Curve], levels: Mapping[str, float], measure: str) -> str:
    parts = []
    for name, (queries, band) in curves.items():
        first, last, low, high = (fixed(end, 2) for end in (band.value[0], band.value[-1], band.low[-1], band.high[-1]))
        parts.append(
            f"{name} ({_targets(band)}) goes from {first} at {queries[0]:,.0f} queries per class to "
            f"{last} (95% interval {low} to {high}) at {queries[-1]:,.0f}"
        )
    parts += [f"{name} is at {fixed(level, 2)}" for name, level in levels.items()]
    return f"Curves of {measure} against queries: {'; '.join(parts)}."
