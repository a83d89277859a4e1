"""Waterfall chart of leakage: the first rung, the change at each step of deployment, and the last rung."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import BLUE, INK, ORANGE, PAPER, QUIET, Picture, dress, rendered
from bl_neuro.leakage.attribution import Attribution
from bl_neuro.leakage.bootstrap import Estimate
from bl_neuro.leakage.comparison import PairVerdict
from bl_neuro.rounding import fixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 0.56
FILLED = 0.4
"""Opacity of a filled bar: the interval upon it stays visible."""
LEAST_ROOM = 0.02


def attribution_waterfall(
    attribution: Attribution, *, measure: str = "attack accuracy", names: Mapping[str, str] | None = None
) -> Picture:
    """Rows from the first rung to the last. Bars are changes, lines are their 95% intervals from the bar's start.

    The change in points and its verdict are written beside each step. The axis fits the data and need not start at 0.
    names: display names of rungs, if they differ from those of the attribution.
    """
    labels = {name: (names or {}).get(name, name) for name in attribution.levels}
    return rendered(_figure(attribution, labels, measure), _alt(attribution, labels, measure))


def _figure(attribution: Attribution, names: Mapping[str, str], measure: str) -> Figure:
    levels = list(attribution.levels.values())
    rows = len(attribution.steps) + 2
    figure = new_figure(6.6, 0.34 * rows + 0.9, constrained=True)
    axes = figure.subplots()
    _draw_level(axes, levels[0], 0)
    for place, step in enumerate(attribution.steps, 1):
        _draw_step(axes, levels[place - 1].value, levels[place].value, step.change, place)
    _draw_level(axes, levels[-1], rows - 1)
    axes.set_yticks(range(rows), [*names.values(), "in all"])
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(*_limits(attribution))
    axes.set_xlabel(measure, fontsize=8.5, color=QUIET, parse_math=False)
    axes.set_title(_counted(levels[0].seeds), loc="left", fontsize=7.5, color=QUIET)
    dress(axes, "x")
    axes.tick_params(axis="y", labelcolor=INK)
    values = axes.twinx()
    values.set_ylim(axes.get_ylim())
    texts = [fixed(levels[0].value, 3), *(_change(step.change) for step in attribution.steps)]
    values.set_yticks(range(rows), [*texts, f"{fixed(levels[-1].value, 3)}: {_change(attribution.total)}"])
    dress(values)
    values.tick_params(axis="y", labelcolor=INK)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    return figure


def _draw_level(axes: Axes, level: Estimate, place: int) -> None:
    axes.plot([level.low, level.high], [place, place], color=INK, linewidth=1.2, zorder=3)
    axes.plot([level.value], [place], "o", color=INK, markersize=5, zorder=4)


def _draw_step(axes: Axes, before: float, after: float, change: PairVerdict, place: int) -> None:
    """Draws the bar between two levels: filled if a difference was found, else open."""
    from matplotlib.colors import to_rgba

    colour = ORANGE if after > before else BLUE
    axes.plot([before, before], [place - 1, place + HEIGHT / 2], color=QUIET, linewidth=0.7, zorder=1)
    axes.barh(
        place, after - before, HEIGHT, left=before, facecolor=to_rgba(colour, FILLED) if change.found else PAPER,
        edgecolor=colour, linewidth=1.2, zorder=2,
    )  # fmt: skip
    axes.plot([after, after], [place - HEIGHT / 2, place + 1], color=QUIET, linewidth=0.7, zorder=1)
    if change.difference.seeds > 1:
        ends = [before + change.difference.low, before + change.difference.high]
        axes.plot(ends, [place, place], color=INK, linewidth=1.2, zorder=3)


def _limits(attribution: Attribution) -> tuple[float, float]:
    """Axis limits that contain all bars and intervals, so that changes of one point are visible."""
    levels = list(attribution.levels.values())
    ends = [levels[0].low, levels[0].high, levels[-1].low, levels[-1].high, *(level.value for level in levels)]
    for level, step in zip(levels, attribution.steps):
        if step.change.difference.seeds > 1:
            ends += [level.value + step.change.difference.low, level.value + step.change.difference.high]
    room = max(LEAST_ROOM, 0.06 * (max(ends) - min(ends)))
    return min(ends) - room, max(ends) + room


def _change(change: PairVerdict) -> str:
    points = 100 * change.difference.value
    if change.exact:
        return "0, identical"
    return f"{fixed(points, 1, '+')} points, {change.verdict}".replace("-", "−")


def _counted(seeds: int) -> str:
    if seeds == 1:
        return "1 target: how targets differ is not known"
    return f"means over {seeds} targets and their changes, filled where a difference\nwas found; lines: 95% intervals"


def _alt(attribution: Attribution, names: Mapping[str, str], measure: str) -> str:
    levels = list(attribution.levels.values())
    first, *_, last = names.values()
    steps = "; ".join(f"{names[step.name]}, {step.change.sentence}" for step in attribution.steps)
    return (
        f"Waterfall of {measure}, from {fixed(levels[0].value, 3)} ({first}) to {fixed(levels[-1].value, 3)} ({last}): "
        f"{steps}. In all, {attribution.total.sentence}."
    )
