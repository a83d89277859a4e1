"""What attacks recover of planted secrets, in sentences, table rows and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from bl_neuro.access import REVEALS
from bl_neuro.attacks.registry import attack_title
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.findings.secrets_models import SecretComparison, SecretRow, SecretsFinding
from bl_neuro.report.plots import BOTTOM, LEFT, RIGHT, TALL, TOP, WIDTH, line_sample, line_style
from bl_neuro.report.secrets_beside import repetition_sentence, twin_sentence
from bl_neuro.report.words import (
    SEEN,
    amount,
    ends,
    many,
    margin_points,
    network_name,
    percent,
    points,
    share,
    share_ends,
    verdict_line,
    view,
)
from bl_neuro.rounding import fixed

if TYPE_CHECKING:
    from markupsafe import Markup

INFORMED = "c0"
"""The line style of informed attackers."""


def headline_row(finding: SecretsFinding) -> SecretRow | None:
    """The row of the first sentence, chosen before any result: the first substrate and black-box attack.

    Of these, the row with the least informative output and the largest budget. A white-box attack without black-box
    attacks; None without rows.
    """
    rows = [row for row in finding.rows if row.access == "black_box"] or finding.rows
    own = [row for row in rows if (row.substrate, row.attack) == (rows[0].substrate, rows[0].attack)]
    return max(own, key=lambda row: (_poverty(row), row.budget or 0), default=None)


def _poverty(row: SecretRow) -> int:
    return REVEALS.index(row.reveals) if row.reveals in REVEALS else -1


def secret_sentences(results: Findings) -> list[str]:
    """The first sentences of a report on planted secrets: the advantage of an attack, with its interval."""
    finding = results.secrets
    row = None if finding is None else headline_row(finding)
    if finding is None or row is None:
        return [] if finding is None else ["No attack on planted secrets has been read yet."]
    first = (
        f"{_who(row)} recovers {share(row.recovered)} of the planted secrets (the {finding.secret}), "
        f"{_more(row.over_guessing)} than guessing{_than_informed(row)}, on {row.substrate}."
    )
    same = [one for one in finding.rows if _key(one) == _key(row) and one.budget is not None]
    least = min(same, key=lambda one: one.budget or 0, default=None)
    second = []
    if least is not None and least.budget != row.budget:
        second = [
            f"With {amount(least.queries)} queries per class it recovers {share(least.recovered)} "
            f"({share_ends(least.recovered)})."
        ]
    read_from = "the patterns themselves" if finding.kind == "canary" else "test images"
    ceiling = "" if finding.ceiling is None else f", and the reader reads {percent(finding.ceiling)} from {read_from}"
    exposed = [text for text in [repetition_sentence(finding)] if text]
    return [first, *second, *exposed, f"Guessing recovers {percent(finding.chance)}{ceiling}."]


def secret_lines(results: Findings) -> list[str]:
    """What other rows say: the first white-box attack, ANN twins, and whether substrates differ."""
    finding = results.secrets
    if finding is None:
        return []
    white = [row for row in finding.rows if row.access == "white_box"]
    lines = []
    if white and headline_row(finding) not in white:
        best = white[0]
        lines.append(
            f"{_who(best)} recovers {share(best.recovered)} of the planted secrets, {_more(best.over_guessing)} than "
            f"guessing, on {best.substrate}."
        )
    lines += [text for text in [twin_sentence(finding)] if text]
    if results.rows and finding.comparisons:
        word, lead = secret_verdict(finding)
        lines.append(f"Does the substrate change what is recovered of planted secrets? {word}. {lead}")
    return lines


def secret_verdict(finding: SecretsFinding) -> tuple[str, str]:
    """Whether the substrate changes what is recovered, in a word, and the sentences that explain it."""
    compared = [one for one in finding.comparisons if not one.verdict.exact]
    margin = f"{margin_points(finding.margin)}, a share of the range from guessing to the reader’s ceiling"
    if not compared:
        same = "All substrates score the same by construction." if finding.comparisons else "Nothing can be compared."
        return "Not compared", same
    differ = [one for one in compared if one.verdict.verdict == "differs"]
    same_ = [one for one in compared if one.verdict.verdict == "equivalent"]
    total = many(len(compared), "comparison")
    lead = f"Of {total} of planted secrets over all budgets, {len(differ)} differ and {len(same_)} are equivalent "
    lead += f"within {margin}; {len(compared) - len(differ) - len(same_)} are open."
    largest = max(compared, key=lambda one: abs(one.verdict.difference.value))
    lead += f" The largest difference: {_compared(largest)}."
    word = "Yes" if differ else "No" if len(same_) == len(compared) else "Not yet known"
    return word, lead


def _compared(one: SecretComparison) -> str:
    return f"{view(one.attack, one.reveals)}, {one.first} less {one.second}, {verdict_line(one.verdict)}"


def _key(row: SecretRow) -> tuple[str, str, str]:
    return row.substrate, row.attack, row.reveals


def _who(row: SecretRow) -> str:
    if row.access != "black_box":
        return "An attacker with the gradient of the network (white box)"
    return (
        f"An attacker who can only query the network, sees {SEEN.get(row.reveals, row.reveals)} and spends "
        f"{amount(row.queries)} queries per class"
    )


def _more(difference: Mean) -> str:
    side = "more" if difference.value >= 0 else "less"
    return f"{points(abs(difference.value), False)} points {side} ({_interval(difference)})"


def _interval(difference: Mean) -> str:
    known = difference.low is not None and difference.high is not None and difference.seeds > 1
    return f"95% interval {ends(difference)}" if known else "one target, so no interval"


def _than_informed(row: SecretRow) -> str:
    if row.informed is None or row.over != "informed":
        return ""
    return (
        f" and {_more(row.advantage)} than an informed attacker who asks about every possible secret instead "
        f"({amount(row.informed.queries)} queries per class)"
    )


@dataclass(frozen=True)
class SecretGroup:
    """The rows of one attack and output, for the table. title: the attack and the output."""

    title: str
    rows: tuple[SecretRow, ...]


def secret_groups(finding: SecretsFinding) -> list[SecretGroup]:
    """The rows by attack and output, each by budget and substrate."""
    keys = dict.fromkeys((row.attack, row.reveals) for row in finding.rows)
    return [
        SecretGroup(
            view(*key),
            tuple(
                sorted(
                    (row for row in finding.rows if (row.attack, row.reveals) == key), key=lambda row: row.budget or 0
                )
            ),
        )
        for key in keys
    ]


def bits_text(finding: SecretsFinding, row: SecretRow) -> str:
    """The recovered bits of one class, of those that there are: `1.62 of 2`."""
    return f"{fixed(row.bits.value, 2)} of {fixed(finding.bits, 2).removesuffix('.00')}"


@dataclass(frozen=True)
class SecretLine:
    """A line of a chart: its name, style and points (queries per class, share)."""

    name: str
    kind: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SecretPanel:
    """A chart of one output."""

    title: str
    chart: Markup


def secret_panels(finding: SecretsFinding) -> list[SecretPanel]:
    """One chart for each output of black-box attacks: recovered secrets against queries per class."""
    panels = []
    for reveals in dict.fromkeys(row.reveals for row in finding.rows if row.access == "black_box"):
        lines = [*_attack_lines(finding, reveals), *_informed_lines(finding, reveals)]
        title = f"The attacker sees {SEEN.get(reveals, reveals)}"
        words = f"{title}: recovered secrets against queries per class. " + "; ".join(
            f"{line.name}: {percent(line.points[0][1])} to {percent(line.points[-1][1])}" for line in lines
        )
        panels.append(SecretPanel(title, log_chart(lines, finding.chance, finding.ceiling, words)))
    return panels


def secret_legend(finding: SecretsFinding) -> list[tuple[str, Markup]]:
    """The names of the lines of all charts, each with a sample."""
    samples = [(name, line_sample(kind)) for name, kind in _styles(finding).items()]
    informed = [(_informed_name(finding), line_sample(INFORMED))] if samples and finding.informed else []
    return [*samples, *informed]


def _styles(finding: SecretsFinding) -> dict[str, str]:
    """The line style of each black-box attack on each substrate, by name."""
    names = dict.fromkeys(_line_name(row) for row in finding.rows if row.access == "black_box")
    return {name: line_style(place) for place, name in enumerate(names)}


def _line_name(row: SecretRow) -> str:
    return f"{attack_title(row.attack)} on {network_name(row.substrate)}"


def _attack_lines(finding: SecretsFinding, reveals: str) -> list[SecretLine]:
    lines = []
    for name, kind in _styles(finding).items():
        own = [row for row in finding.rows if row.reveals == reveals and _line_name(row) == name]
        spots = sorted((row.queries, row.recovered.value) for row in own if row.access == "black_box")
        lines += [SecretLine(name, kind, tuple(spots))] if spots else []
    return lines


def _informed_lines(finding: SecretsFinding, reveals: str) -> list[SecretLine]:
    """The informed attackers on the first substrate."""
    first = finding.informed[0].substrate if finding.informed else None
    own = [one for one in finding.informed if (one.substrate, one.reveals) == (first, reveals)]
    spots = tuple(sorted((one.queries, one.recovered.value) for one in own))
    return [SecretLine(_informed_name(finding), INFORMED, spots)] if spots else []


def _informed_name(finding: SecretsFinding) -> str:
    return f"informed attacker on {finding.informed[0].substrate}"


def log_chart(lines: Sequence[SecretLine], chance: float, ceiling: float | None, words: str) -> Markup:
    """Lines in 0..1 against queries per class on a logarithmic axis. Dotted: chance and, if known, the ceiling."""
    from markupsafe import Markup, escape

    spent = [queries for line in lines for queries, _ in line.points]
    low, high = log10(min(spent)), log10(max(spent))

    def x(queries: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log10(queries) - low) / ((high - low) or 1.0)

    parts = [_grid(chance, ceiling)]
    for queries in _ticks(min(spent), max(spent)):
        at_edge = x(queries) > WIDTH - RIGHT - 12  # where a centred number would be cut off
        place = f'class="tick {"end" if at_edge else "middle"}" x="{WIDTH if at_edge else x(queries):.1f}"'
        parts.append(f'<text {place} y="{TALL - BOTTOM + 16}">{queries:,.0f}</text>')
    for line in lines:
        spots = [(x(queries), _y(value)) for queries, value in line.points]
        parts.append(f'<polyline class="line {line.kind}" points="{" ".join(f"{a:.1f},{b}" for a, b in spots)}"/>')
        parts += [f'<circle class="line {line.kind}" cx="{a:.1f}" cy="{b}" r="2"/>' for a, b in spots]
    return Markup(f'<svg viewBox="0 0 {WIDTH} {TALL}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>')


def _ticks(least: float, most: float) -> list[float]:
    """Powers of 4 times the least number of queries, which stay apart on the axis."""
    ticks = [least]
    while ticks[-1] * 4 <= most:
        ticks.append(ticks[-1] * 4)
    return ticks


def _grid(chance: float, ceiling: float | None) -> str:
    right = WIDTH - RIGHT
    parts = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{_y(level)}" y2="{_y(level)}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{_y(level) + 4:.1f}">{100 * level:.0f}</text>')
    parts.append(f'<text class="tick middle" x="{(LEFT + right) / 2}" y="{TALL - 6}">queries per class</text>')
    for level in [chance, *([] if ceiling is None else [ceiling])]:
        parts.append(f'<line class="chance" x1="{LEFT}" x2="{right}" y1="{_y(level)}" y2="{_y(level)}"/>')
    return "".join(parts)


def _y(value: float) -> float:
    return round(TOP + (TALL - TOP - BOTTOM) * (1 - min(max(value, 0.0), 1.0)), 1)
