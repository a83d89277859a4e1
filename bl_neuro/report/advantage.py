"""The advantage of attacks over attackers who ask nothing, in sentences and lines of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bl_neuro.experiment.findings.estimates import BaselineFinding, Mean
from bl_neuro.experiment.findings.models import AuditRow, EvaluatorMeasures, Findings
from bl_neuro.report.words import bounded, percent, percent_range, points, share_ends, view

ABOUT = (
    "Advantage: attack accuracy less that of the best attacker who asks nothing, in points, under the same evaluator. "
    "If it is not above 0, the attacker’s queries or gradients gained nothing that this evaluator sees over what was "
    "known before."
)


def advantage_sentences(rows: Sequence[AuditRow], evaluators: Sequence[str], who: str) -> str:
    """How much `who` gains over the best attacker who asks nothing under every evaluator, and who that is.

    Empty without baselines.
    """
    compared = {evaluator: own for evaluator in evaluators if (own := _compared(rows, evaluator))}
    if not compared:
        return ""
    (first, own), *further = compared.items()
    values, interval = _gain(own)
    others = "".join(f", and {gain} under {name}{ends}" for name, some in further for gain, ends in [_gain(some)])
    under, best = f"under the evaluator {first}{interval}{others}", "the best attacker who asks nothing"
    if all(gain.value < 0 for some in compared.values() for gain in _advantages(some)):
        lead = f"does not beat {best}: {values} points of attack accuracy {under}"
    else:
        lead = f"gains {values} points of attack accuracy over {best} {under}"
    return f"{who[0].upper()}{who[1:]} {lead}. Best without a query: {_best(compared)}."


def _compared(rows: Sequence[AuditRow], evaluator: str) -> list[EvaluatorMeasures]:
    """The measures under one evaluator that have an advantage."""
    judged = [row.evaluators[evaluator] for row in rows if evaluator in row.evaluators]
    return [measures for measures in judged if measures.advantage is not None]


def _gain(compared: Sequence[EvaluatorMeasures]) -> tuple[str, str]:
    """The points gained, and their interval in brackets: `+1.0 to +2.0` and ` (95% intervals −3.0 to +4.0)`."""
    gains = _advantages(compared)
    count = "" if len(gains) == 1 else "s"
    values = _range(min(gain.value for gain in gains), max(gain.value for gain in gains))
    lows, highs = ([end for end in ends if end is not None] for ends in _ends(gains))
    interval = f" (95% interval{count} {points(min(lows))} to {points(max(highs))})" if lows and highs else ""
    return values, interval


def _advantages(compared: Sequence[EvaluatorMeasures]) -> list[Mean]:
    return [measures.advantage for measures in compared if measures.advantage is not None]


def _range(low: float, high: float) -> str:
    first, last = points(low), points(high)
    return first if first == last else f"{first} to {last}"


def _ends(gains: Sequence[Mean]) -> tuple[list[float | None], list[float | None]]:
    low = [None if gain.low is None else bounded(gain.low) for gain in gains]
    return low, [None if gain.high is None else bounded(gain.high) for gain in gains]


def _best(compared: Mapping[str, Sequence[EvaluatorMeasures]]) -> str:
    """`printed fonts, centred (97%; under spiking 86%), knowing ...`, for each distinct best baseline."""
    named: dict[tuple[str, str], dict[str, list[float]]] = {}
    for evaluator, own in compared.items():
        for measures in own:
            if measures.baseline is not None and measures.baseline_accuracy is not None:
                reached = named.setdefault((measures.baseline, measures.knowledge or ""), {})
                reached.setdefault(evaluator, []).append(measures.baseline_accuracy.value)
    first = next(iter(compared))
    parts = []
    for (name, knowledge), reached in named.items():
        shares = [
            f"{'' if evaluator == first else f'under {evaluator} '}{percent_range(min(values), max(values))}"
            for evaluator, values in reached.items()
        ]
        parts.append(f"{name} ({'; '.join(shares)}), knowing {knowledge}")
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
