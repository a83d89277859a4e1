"""Membership inference in reports: the answer in sentences, the table, and ROC curves on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING, NamedTuple

from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.membership import (
    COMPARED,
    MembershipComparison,
    MembershipFindings,
    MembershipReplay,
    MembershipRow,
    deployment_name,
)
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.plots import Scale, line_style
from bl_neuro.report.words import listed, many
from bl_neuro.rounding import fixed

if TYPE_CHECKING:
    from markupsafe import Markup

TWINS = deployment_name(ANN, None)
ATTACK_TITLES = {
    "lira": "LiRA",
    "lira_offline": "LiRA, offline",
    "rmia": "RMIA",
    "rmia_offline": "RMIA, offline",
    "threshold": "one threshold, no shadows",
}
WIDTH, TALL, LEFT, RIGHT, TOP, BOTTOM = 380, 300, 44, 10, 8, 44
LEAST_RATE = 1e-3
SHOWN_CURVES = 6


class MembershipAnswer(NamedTuple):
    """The findings in words, as parts of `answer.AuditAnswer`."""

    leakage: str
    question: str
    word: str
    lead: str
    more: tuple[str, ...]


def membership_answer(results: Findings, membership: MembershipFindings) -> MembershipAnswer:
    """How well members are told apart, and whether the deployment changes it."""
    best, tried = strongest(membership), sum(row.deployment == membership.rows[0].deployment for row in membership.rows)
    leakage = (
        f"With shadow networks of their own, attackers tell samples that {results.dataset.name} networks were trained "
        f"on from others: on {best.deployment}, the strongest of {many(tried, 'attack')} ({ATTACK_TITLES[best.attack]} "
        f"on {best.reveals}) has an AUC of {auc_words(best.auc)}, where guessing has 0.5. It identifies "
        f"{percent_words(best.tpr_at_1)} of the members at a false-positive rate of 1%, and "
        f"{percent_words(best.tpr_at_01)} at 0.1%{_without_any(membership)}."
    )
    word, lead = _verdict(membership)
    return MembershipAnswer(
        leakage, "Does the deployment change it?", word, lead, tuple(text for text in _more(membership) if text)
    )


def _without_any(membership: MembershipFindings) -> str:
    """What a false-positive rate of 0.1% means where one false positive is already more."""
    few = membership.samples - membership.samples // 2 < 1 / LEAST_RATE
    return " (no false positive, since there are fewer than 1,000 other samples)" if few else ""


def membership_lines(results: Findings) -> list[str]:
    """Sentences for an audit that also inverts; none without membership."""
    if results.membership is None:
        return []
    answer = membership_answer(results, results.membership)
    return [
        answer.leakage,
        _epsilon(results.membership),
        f"Whether the deployment changes membership: {answer.word.lower()}. {answer.lead}",
        *replay_sentences(results.membership),
        *_twins(results.membership),
    ]


def strongest(membership: MembershipFindings) -> MembershipRow:
    """The row with the largest AUC on the first deployment."""
    first = membership.rows[0].deployment
    return max((row for row in membership.rows if row.deployment == first), key=lambda row: row.auc.value)


def _verdict(membership: MembershipFindings) -> tuple[str, str]:
    compared = [one for one in _compared(membership) if one.second != TWINS]
    if not compared:
        return "Not compared", "Membership was measured on one deployment only."
    share = f"{100 * membership.share:g}%"
    margin = f"a margin of {share} of the first deployment's distance from guessing"
    sentences = []
    for name in dict.fromkeys(one.second for one in compared):
        own = [one for one in compared if one.second == name]
        sentences.append(_of_deployment(f"On {name}", own))
    differ = [one for one in compared if one.verdict == "differs"]
    open_ = [one for one in compared if one.verdict == "inconclusive"]
    word = "Yes" if differ else "Not yet known" if open_ else "No"
    return word, f"{' '.join(sentences)} Compared with {compared[0].first}, with {margin}."


def _compared(membership: MembershipFindings) -> list[MembershipComparison]:
    """The comparisons of AUCs."""
    return [one for one in membership.comparisons if one.measure == "auc"]


def _twins(membership: MembershipFindings) -> list[str]:
    """How ANN twins compare. They are other networks, not a deployment of these."""
    own = [one for one in _compared(membership) if one.second == TWINS]
    if not own:
        return []
    which = f"For {TWINS} of the same layer sizes and training samples, compared with the networks on {own[0].first},"
    return [_of_deployment(which, own)]


def _of_deployment(start: str, compared: Sequence[MembershipComparison]) -> str:
    groups = {
        words: [one.reveals for one in compared if one.verdict == verdict]
        for verdict, words in (
            ("equivalent", "is the same for"),
            ("differs", "changes for"),
            ("inconclusive", "is open for"),
        )
    }
    parts = [f"{words} {listed(views)}" for words, views in groups.items() if views]
    largest = max(compared, key=lambda one: abs(one.difference.value))
    difference = f"largest difference: {difference_words(largest.difference)}, {largest.reveals}"
    return f"{start} the AUC {listed(parts)} ({difference})."


def _more(membership: MembershipFindings) -> list[str]:
    rows, first = membership.rows, membership.rows[0].deployment
    own = [row for row in rows if row.deployment == first]
    wrong = [row for row in own if row.shadows == "wrong"]
    nulls = [row.null_auc for row in rows if row.shadows == "right"]
    outside = sum(not _holds(null, 0.5) for null in nulls)
    lines = [
        f"Judged by the members of another network, the AUC must be 0.5: {len(nulls) - outside} of "
        f"{many(len(nulls), '95% interval')} hold it.",
        _epsilon(membership),
        *replay_sentences(membership),
        *_twins(membership),
    ]
    if wrong:
        best = max(wrong, key=lambda row: row.auc.value)
        lines.append(
            f"An attacker who does not know how the targets were trained reaches an AUC of {auc_words(best.auc)} on "
            f"{first} ({ATTACK_TITLES[best.attack]}, {best.reveals})."
        )
    plain = [row for row in own if row.attack == "threshold"]
    if plain:
        best = max(plain, key=lambda row: row.auc.value)
        lines.append(f"Without shadow networks, one threshold reaches {auc_words(best.auc)} ({best.reveals}).")
    return lines


def _epsilon(membership: MembershipFindings) -> str:
    """The lower bound on epsilon. The attack is the first of the plan: the best of many would not hold at 95%."""
    row = membership.rows[0]
    attack = f"{ATTACK_TITLES[row.attack]}, {row.reveals} on {row.deployment}"
    return (
        f"The training has an epsilon (differential privacy) of at least {fixed(max(row.epsilon.value, 0), 2)}, the "
        f"mean of the empirical lower bounds of {many(row.targets, 'target')}, each at a confidence level of 95% "
        f"({attack})."
    )


def replay_sentences(membership: MembershipFindings) -> list[str]:
    """Whether the answers on another substrate are those on the first, one sentence for each pair."""
    pairs = dict.fromkeys((replay.substrate, replay.of) for replay in membership.replays)
    return [_of_pair(*pair, [one for one in membership.replays if (one.substrate, one.of) == pair]) for pair in pairs]


def _of_pair(substrate: str, of: str, replays: Sequence[MembershipReplay]) -> str:
    views = list(dict.fromkeys(reveals for replay in replays for reveals in replay.reveals))
    queries, samples = sum(replay.queries for replay in replays), max(replay.samples for replay in replays)
    asked = (
        f"{many(queries, 'query', 'queries')} for each of {listed(views)} about {many(samples, 'sample')} to "
        f"{many(len(replays), 'network')} were repeated on {substrate}"
    )
    differing = [replay for replay in replays if not replay.identical]
    if not differing:
        return f"{asked}: every answer is that of {of} in every bit."
    outputs = listed(list(dict.fromkeys(reveals for replay in differing for reveals in replay.differs)))
    return f"{asked}: NOT THE SAME as on {of} for {many(len(differing), 'network')} ({outputs})."


def _holds(mean: Mean, value: float) -> bool:
    return mean.low is not None and mean.high is not None and mean.low <= value <= mean.high


def attack_words(row: MembershipRow) -> str:
    """The attack and what its shadow networks know: `LiRA, shadows trained otherwise`."""
    return f"{ATTACK_TITLES[row.attack]}{', shadows trained otherwise' if row.shadows == 'wrong' else ''}"


def auc_words(mean: Mean) -> str:
    """An AUC with its interval: `0.651 (0.645 to 0.657)`."""
    if mean.low is None or mean.high is None:
        return fixed(mean.value, 3)
    return f"{fixed(mean.value, 3)} ({fixed(mean.low, 3)} to {fixed(mean.high, 3)})"


def percent_words(mean: Mean) -> str:
    """A rate with its interval, in percent: `9.8% (8.9 to 10.7)`."""
    if mean.low is None or mean.high is None:
        return f"{fixed(100 * mean.value, 1)}%"
    return f"{fixed(100 * mean.value, 1)}% ({fixed(100 * max(mean.low, 0), 1)} to {fixed(100 * mean.high, 1)})"


def difference_words(mean: Mean) -> str:
    """A difference of AUCs with its interval: `-0.045 (-0.051 to -0.039)`."""
    value = fixed(mean.value, 3, "+").replace("-", "−")
    if mean.low is None or mean.high is None:
        return value
    low, high = (fixed(end, 3, "+").replace("-", "−") for end in (mean.low, mean.high))
    return f"{value} ({low} to {high})"


def two_decimals(value: float) -> str:
    """A number with two decimals."""
    return fixed(value, 2)


class MembershipGroup(NamedTuple):
    """The rows of one deployment and ask, in the order of the plan."""

    title: str
    rows: list[MembershipRow]


def membership_groups(membership: MembershipFindings | None) -> list[MembershipGroup]:
    """The rows by deployment and ask."""
    groups: dict[str, list[MembershipRow]] = {}
    for row in [] if membership is None else membership.rows:
        asked = "" if row.ask == "plain" else f", asks with {row.ask}"
        groups.setdefault(f"{row.deployment}{asked}", []).append(row)
    return [MembershipGroup(title, rows) for title, rows in groups.items()]


def shown_curves(membership: MembershipFindings) -> list[tuple[str, MembershipRow]]:
    """The ROC curves of the plot: every output of the first deployment under the first attack."""
    first = membership.rows[0]
    chosen = [
        row
        for row in membership.rows
        if (row.deployment, row.ask, row.attack, row.shadows) == (first.deployment, first.ask, first.attack, "right")
    ]
    return [(row.reveals, row) for row in chosen[:SHOWN_CURVES]]


def membership_values(results: Findings) -> dict[str, object]:
    """The values of the template of this section; empty without membership."""
    membership = results.membership
    if membership is None:
        return {}
    curves = shown_curves(membership)
    ends = [end for row in membership.rows for end in (row.auc.low, row.auc.high, row.auc.value, 0.5)]
    return {
        "membership_curves": [(row, line_style(place)) for place, (_, row) in enumerate(curves)],
        "membership_title": f"{ATTACK_TITLES[curves[0][1].attack]} on {curves[0][1].deployment}",
        "membership_groups": membership_groups(membership),
        "membership_scale": Scale.around(ends),
        "attack_titles": ATTACK_TITLES,
    }


def roc_chart(curves: Sequence[tuple[MembershipRow, str]], words: str) -> Markup:
    """Mean ROC curves on logarithmic axes, each with its style. words: text description for screen readers."""
    from markupsafe import Markup, escape

    parts = [*_grid(), _line([LEAST_RATE, 1.0], [LEAST_RATE, 1.0], "chance")]
    parts += [_line(row.false, row.true, f"line {kind}") for row, kind in curves]
    return Markup(f'<svg viewBox="0 0 {WIDTH} {TALL}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>')


def _grid() -> list[str]:
    parts = []
    for rate in (0.001, 0.01, 0.1, 1.0):
        x, y, text = _x(rate), _y(rate), f"{100 * rate:g}%"
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{text}</text>')
        parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{TOP}" y2="{TALL - BOTTOM}"/>')
        parts.append(
            f'<text class="tick {"end" if rate == 1 else "middle"}" x="{x}" y="{TALL - BOTTOM + 16}">{text}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="tick middle" x="{middle}" y="{TALL - 6}">false positives (others called members)</text>'
    )
    return parts


def _line(false: Sequence[float], true: Sequence[float], kind: str) -> str:
    points = [(x, y) for x, y in zip(false, true) if x >= LEAST_RATE and y > 0]
    places = " ".join(f"{_x(x)},{_y(y)}" for x, y in points)
    return f'<polyline class="{kind}" points="{places}"/>'


def _part(rate: float) -> float:
    return 1 - log10(max(rate, LEAST_RATE)) / log10(LEAST_RATE)


def _x(rate: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * _part(rate), 1)


def _y(rate: float) -> float:
    return round(TOP + (TALL - TOP - BOTTOM) * (1 - _part(rate)), 1)


def measure_words(comparison: MembershipComparison) -> str:
    """The compared measure in words."""
    return COMPARED[comparison.measure][2]
