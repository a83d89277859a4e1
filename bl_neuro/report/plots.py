"""Small inline SVG charts that inherit colours and fonts from the page; positions are percentages of the width.

Marks stand beside the numbers that they show, in the same row of a table, and are hidden from screen readers. Charts
that stand alone have a text description.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.models import AuditCurve

if TYPE_CHECKING:
    from markupsafe import Markup

HEIGHT, MIDDLE, BAR, BEYOND = 22, 11, 12, 24
WIDTH, TALL = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 8, 40
SERIES, CONTROLS = 6, 3
"""Line styles in the style sheet of the page: `s0` to `s5`, and `c0` to `c2` for controls."""


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` over the full width."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float | None], least: float = 0.05) -> Scale:
        """An axis that contains all `values`, at least `least` on both sides of their middle, with a margin."""
        known = [value for value in values if value is not None] or [0.0]
        middle, half = (min(known) + max(known)) / 2, (max(known) - min(known)) / 2
        half = max(half, least) * 1.06
        return cls(middle - half, middle + half)

    def at(self, value: float) -> str:
        """Position on the axis as a percentage, clipped to its ends."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{100 * part:.2f}%"


def interval_mark(
    scale: Scale,
    mean: Mean,
    *,
    lines: Sequence[float] = (),
    band: tuple[float, float] | None = None,
    hollow: bool = False,
    joined: str = "",
) -> Markup:
    """Draws an estimate as a dot on its interval.

    lines: values to compare it with. band: a range, such as a margin. joined: "below" or "above", to connect it with
    the mark there.
    """
    parts = [] if band is None else [_rect(scale, *band, "band", 0, HEIGHT)]
    if joined:
        parts.append(_join(scale, mean.value, joined == "below"))
    parts += [_upright(scale, value, "zero") for value in lines]
    parts.append(_whisker(scale, mean))
    kind = "dot hollow" if hollow else "dot"
    parts.append(f'<circle class="{kind}" cx="{scale.at(mean.value)}" cy="{MIDDLE}" r="4"/>')
    return _mark(parts)


def step_mark(scale: Scale, before: float, after: float, change: Mean, significant: bool) -> Markup:
    """One step of a waterfall: a bar from one level to the next, filled if a difference was found."""
    kind = f"bar {'up' if after > before else 'down'}{'' if significant else ' open'}"
    ends = Mean(
        value=after,
        low=None if change.low is None else before + change.low,
        high=None if change.high is None else before + change.high,
        seeds=change.seeds,
        n=change.n,
    )
    bar = _rect(scale, min(before, after), max(before, after), kind, MIDDLE - BAR // 2, BAR)
    return _mark([_join(scale, before, False), _join(scale, after, True), bar, _whisker(scale, ends)])


def course_mark(values: Sequence[float], words: str) -> Markup:
    """A small line chart of values in 0..1, with a text description."""
    from markupsafe import Markup, escape

    spread = max(1, len(values) - 1)
    points = " ".join(f"{100 * place / spread:.1f},{22 - 20 * value:.1f}" for place, value in enumerate(values))
    return Markup(
        f'<svg class="course" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{escape(words)}">'
        f'<polyline class="line s0" points="{points}"/></svg>'
    )


def curves_chart(curves: Sequence[tuple[AuditCurve, str]], chance: float, words: str) -> Markup:
    """Lines with bands in 0..1 against queries per class, each with its style (`line_style`).

    words: text description for screen readers.
    """
    from markupsafe import Markup, escape

    last = max(curve.queries[-1] for curve, _ in curves)
    parts = [_grid(last, chance)]
    for curve, kind in curves:
        for queries, low, high in _known(curve):
            upper, lower = _points(queries, high, last), _points(queries, low, last)
            parts.append(f'<polygon class="area {kind}" points="{" ".join([*upper, *reversed(lower)])}"/>')
    for curve, kind in curves:
        points = _points(curve.queries, curve.value, last)
        parts.append(f'<polyline class="line {kind}" points="{" ".join(points)}"/>')
        if len(points) == 1:
            x, y = points[0].split(",")
            parts.append(f'<circle class="line {kind}" cx="{x}" cy="{y}" r="3"/>')
    return Markup(f'<svg viewBox="0 0 {WIDTH} {TALL}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>')


def _known(curve: AuditCurve) -> Iterator[tuple[list[float], list[float], list[float]]]:
    """The parts of a curve whose intervals are known, without single points: queries, low and high ends."""
    points = zip(curve.queries, curve.low, curve.high)
    for known, part in groupby(points, lambda point: point[1] is not None and point[2] is not None):
        if known and len(kept := [(spent, low or 0.0, high or 0.0) for spent, low, high in part]) > 1:
            queries, low, high = (list(values) for values in zip(*kept))
            yield queries, low, high


def line_style(place: int, control: bool = False) -> str:
    """The style of line number `place`; controls and other lines are numbered separately."""
    return f"{'c' if control else 's'}{place % (CONTROLS if control else SERIES)}"


def line_sample(kind: str) -> Markup:
    """A sample of a line style for a legend."""
    from markupsafe import Markup

    return Markup(
        '<svg class="sample" width="34" height="10" aria-hidden="true">'
        f'<line class="line {kind}" x1="1" x2="33" y1="5" y2="5"/></svg>'
    )


def _grid(last: float, chance: float) -> str:
    """The axes of a line chart: grid lines, numbers and the chance level."""
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{100 * share:.0f}</text>')
    for share in (0.0, 0.5, 1.0):
        anchor = ("start", "middle", "end")[round(2 * share)]
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text class="tick {anchor}" x="{x:.1f}" y="{TALL - BOTTOM + 16}">{share * last:,.0f}</text>')
    parts.append(f'<text class="tick middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{TALL - 6}">queries per class</text>')
    y = _y(chance)
    parts.append(f'<line class="chance" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    return "".join(parts)


def _points(queries: Sequence[float], values: Sequence[float], last: float) -> list[str]:
    width = WIDTH - LEFT - RIGHT
    return [f"{LEFT + width * spent / (last or 1):.1f},{_y(value)}" for spent, value in zip(queries, values)]


def _y(value: float) -> float:
    return round(TOP + (TALL - TOP - BOTTOM) * (1 - min(max(value, 0.0), 1.0)), 1)


def _mark(parts: Sequence[str]) -> Markup:
    from markupsafe import Markup

    return Markup(f'<svg class="mark" width="100%" height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>')


def _upright(scale: Scale, value: float, kind: str) -> str:
    x = scale.at(value)
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="0" y2="{HEIGHT}"/>'


def _join(scale: Scale, value: float, below: bool) -> str:
    """Connects the middle of a mark with the row above or below that has the same value."""
    x, y = scale.at(value), HEIGHT + BEYOND if below else -BEYOND
    return f'<line class="from" x1="{x}" x2="{x}" y1="{MIDDLE}" y2="{y}"/>'


def _whisker(scale: Scale, mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return ""
    return f'<line class="whisker" x1="{scale.at(mean.low)}" x2="{scale.at(mean.high)}" y1="{MIDDLE}" y2="{MIDDLE}"/>'


def _rect(scale: Scale, low: float, high: float, kind: str, y: int, height: int) -> str:
    begin, end = (float(scale.at(value).rstrip("%")) for value in (low, high))
    width = max(end - begin, 0.3)
    return f'<rect class="{kind}" x="{begin:.2f}%" width="{width:.2f}%" y="{y}" height="{height}"/>'
