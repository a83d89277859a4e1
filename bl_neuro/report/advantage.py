"""The advantage of attacks over attackers who ask nothing, in sentences and lines of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bl_neuro.experiment.findings.estimates import BaselineFinding, Mean
from bl_neuro.experiment.findings.models import AuditRow, EvaluatorMeasures, Findings
from bl_neuro.report.words import bounded, percent, points, share_ends, view

ABOUT = (
    "Advantage: attack accuracy less that of the best attacker who asks nothing, in points, under the same evaluator. "
    "If it is not above 0, the attacker’s queries or gradients gained nothing that this evaluator sees over what was "
    "known before."
)


def advantage_sentence(rows: Sequence[AuditRow], evaluators: Sequence[str], who: str) -> str:
    """How much `who` gains over the best attacker who asks nothing under every evaluator; empty without baselines."""
    gains = {evaluator: gain for evaluator in evaluators if (gain := _gain(rows, evaluator))}
    if not gains:
        return ""
    (first, (points_gained, best)), *further = gains.items()
    more = "".join(f"; under {name}, {gained}: {over}" for name, (gained, over) in further)
    return (
        f"Under the evaluator {first}, {who} gains {points_gained} over the best attacker who asks nothing: "
        f"{best}{more}."
    )


def _gain(rows: Sequence[AuditRow], evaluator: str) -> tuple[str, str] | None:
    """The points gained under one evaluator, with their interval, and the best attacker who asks nothing."""
    judged = [row.evaluators[evaluator] for row in rows if evaluator in row.evaluators]
    compared = [(measures, measures.advantage) for measures in judged if measures.advantage is not None]
    if not compared:
        return None
    gains = [gain for _, gain in compared]
    count = "" if len(gains) == 1 else "s"
    values = _range(min(gain.value for gain in gains), max(gain.value for gain in gains))
    lows, highs = ([end for end in ends if end is not None] for ends in _ends(gains))
    interval = f" (95% interval{count} {points(min(lows))} to {points(max(highs))})" if lows and highs else ""
    return f"{values} points of attack accuracy{interval}", _best([measures for measures, _ in compared])


def _range(low: float, high: float) -> str:
    first, last = points(low), points(high)
    return first if first == last else f"{first} to {last}"


def _ends(gains: Sequence[Mean]) -> tuple[list[float | None], list[float | None]]:
    low = [None if gain.low is None else bounded(gain.low) for gain in gains]
    return low, [None if gain.high is None else bounded(gain.high) for gain in gains]


def _best(judged: Sequence[EvaluatorMeasures]) -> str:
    """`printed fonts, centred (97%), by knowing ...` for each distinct best baseline."""
    named: dict[tuple[str, str], list[float]] = {}
    for measures in judged:
        if measures.baseline is not None and measures.baseline_accuracy is not None:
            key = (measures.baseline, measures.knowledge or "")
            named.setdefault(key, []).append(measures.baseline_accuracy.value)
    parts = []
    for (name, knowledge), values in named.items():
        low, high = percent(min(values)), percent(max(values))
        reached = low if low == high else f"{low.removesuffix('%')}–{high}"
        parts.append(f"{name} ({reached}), knowing {knowledge}")
    return "; or ".join(parts)


@dataclass(frozen=True)
class BaselineLine:
    """One baseline under every evaluator. means, rejected: by evaluator."""

    title: str
    detail: str
    means: dict[str, Mean]
    rejected: dict[str, float]


def baseline_lines(results: Findings) -> list[BaselineLine]:
    """All baselines, in their order."""
    groups: dict[tuple[str | None, ...], list[BaselineFinding]] = {}
    for finding in results.baselines:
        key = (finding.baseline, finding.layout, finding.attack, finding.reveals)
        groups.setdefault(key, []).append(finding)
    return [
        BaselineLine(
            title=_title(group[0]),
            detail=f"knows {group[0].knowledge}",
            means={finding.evaluator: finding.attack_accuracy for finding in group},
            rejected={finding.evaluator: finding.rejected for finding in group if finding.rejected is not None},
        )
        for group in groups.values()
    ]


def _title(finding: BaselineFinding) -> str:
    if finding.attack is None:
        return finding.name
    return f"{finding.name}: {view(finding.attack, finding.reveals or '')}"


def none_of_these(results: Findings) -> list[str]:
    """How much each evaluator rejects of what attacks and baselines show, one sentence each."""
    sentences = []
    for evaluator in results.evaluators:
        shares = [
            judged.rejected
            for row in results.own_rows
            if (judged := row.evaluators.get(evaluator.name)) is not None and judged.rejected is not None
        ]
        if shares:
            low, high = percent(min(shares)), percent(max(shares))
            share = low if low == high else f"{low.removesuffix('%')}–{high}"
            by = evaluator.certain_by or "its certainty"
            sentences.append(
                f"{evaluator.name} would answer “none of these” to {share} of the inversions: {by} is below the 5% "
                "quantile on held-out real samples, of which it rejects 5%."
            )
    return sentences


def left_out(results: Findings) -> list[str]:
    """The baselines that do not apply, one sentence each."""
    return [f"{name} does not apply: {reason}." for name, reason in results.baselines_left_out.items()]


def advantage_rows(results: Findings) -> list[list[str]]:
    """Attack, substrate, evaluator, attack accuracy, best baseline and advantage of every own row."""
    return [
        [
            view(row.attack, row.reveals),
            row.substrate,
            evaluator,
            percent(judged.attack_accuracy.value),
            f"{judged.baseline}: {percent(judged.baseline_accuracy.value)} ({share_ends(judged.baseline_accuracy)})",
            f"{points(judged.advantage.value)} ({ends_of_advantage(judged.advantage)})",
        ]
        for row in results.own_rows
        for evaluator, judged in row.evaluators.items()
        if judged.advantage is not None and judged.baseline_accuracy is not None
    ]


def ends_of_advantage(mean: Mean) -> str:
    """The interval of an advantage in points, also of one target seed, whose interval is over its inversions."""
    if mean.low is None or mean.high is None:
        return "no interval"
    return f"{points(bounded(mean.low))} to {points(bounded(mean.high))}"
