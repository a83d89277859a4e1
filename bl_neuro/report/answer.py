"""The headline of an audit: does the substrate change leakage? In words, and no more than its verdicts carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bl_neuro.experiment.findings.estimates import Comparison
from bl_neuro.experiment.findings.models import AuditResults, AuditRow
from bl_neuro.report.effects import ladder_lines, mitigation_lines
from bl_neuro.report.one_arithmetic import equal_by_construction, is_evidence, shared_arithmetic
from bl_neuro.report.words import (
    FEW_SEEDS,
    TARGETS,
    chance_label,
    ends,
    listed,
    many,
    margin_points,
    pair,
    percent_range,
    points,
    seeds_needed,
    view,
)
from bl_neuro.rounding import settled

UNJUDGED = "Not asked"


@dataclass(frozen=True)
class AuditAnswer:
    """word: the answer in a word or three. lead: the finding. more: further findings, a sentence or two each."""

    word: str
    lead: str
    more: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((f"{self.word}.", self.lead, *self.more))


def audit_answer(results: AuditResults) -> AuditAnswer:
    """By the first evaluator's attack accuracy; what the others say is told beside it."""
    compared = main_comparisons(results, results.judge)
    word, lead = _verdict(results, compared)
    more = [
        *(_other_evaluator(results, each.name) for each in results.evaluators[1:]),
        _unexpected(results),
        _leakage(results),
        *ladder_lines(results),
        *mitigation_lines(results),
        _replays(results),
        _unfinished(results),
    ]
    return AuditAnswer(word, lead, tuple(text for text in more if text))


def main_comparisons(results: AuditResults, evaluator: str) -> list[Comparison]:
    """Pairs by attack accuracy under one evaluator, but for those that are equal by construction."""
    return [each for each in _all_comparisons(results, evaluator) if is_evidence(results, each)]


def _all_comparisons(results: AuditResults, evaluator: str) -> list[Comparison]:
    return [each for each in results.verdicts if each.evaluator == evaluator and each.measure == "hit"]


def _verdict(results: AuditResults, compared: Sequence[Comparison]) -> tuple[str, str]:
    margin = margin_points(results.margin)
    alike = [
        each
        for each in results.alike
        if each.evaluator == results.judge and not equal_by_construction(results, each.substrates)
    ]
    if not compared:
        if alike:
            return "No", f"On {_substrates(results)} every inversion scores the same."
        if len(_names(results)) < 2:
            return UNJUDGED, f"This audit has one substrate, {_substrates(results)}: there is nothing to compare."
        arithmetic = shared_arithmetic(results, _names(results))
        if arithmetic is not None:
            return UNJUDGED, (
                f"All substrates here, {_substrates(results)}, compute in one arithmetic ({arithmetic}), so equal "
                "scores are expected by construction."
            )
        return "Not yet known", "No two substrates have finished cells that can be compared."
    differ = [each for each in compared if each.verdict.verdict == "differs"]
    same = [each for each in compared if each.verdict.verdict == "equivalent"]
    open_ = [each for each in compared if each.verdict.verdict == "inconclusive"]
    total = many(len(compared), "comparison")
    if differ:
        rest = [f"{_are(len(same))} equivalent within {margin}"] if same else []
        rest += [f"{_are(len(open_))} open"] if open_ else []
        tail = f"; {listed(rest)}" if rest else ""
        return "Yes", f"A difference was found in {len(differ)} of {total}{tail}. {_largest(differ)}"
    if not open_:
        small = sum(each.verdict.found for each in same)
        remark = f" In {small} of them there is a difference, but a smaller one than that." if small else ""
        return "No", f"In {_all(len(compared))} leakage is equal within {margin}.{remark}"
    if not same:
        which = "The one comparison is open" if len(open_) == 1 else f"All {len(open_)} comparisons are open"
        return "Not yet known", f"No difference was shown, and none was ruled out. {which}: {_needed(open_)}."
    shown = f"{len(same)} of {total} {'is' if len(same) == 1 else 'are'} equivalent within {margin}"
    return "Not yet known", f"{shown}; {_are(len(open_))} open: {_needed(open_)}. No difference was shown."


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _all(count: int) -> str:
    return "the one comparison that was made" if count == 1 else f"each of {count} comparisons"


def _needed(compared: Sequence[Comparison]) -> str:
    """What open comparisons need."""
    most = max(compared, key=lambda each: each.verdict.seeds_needed or 10**9).verdict
    if most.difference.seeds < FEW_SEEDS:
        return f"plan {seeds_needed(most)}"
    up_to = "" if len(compared) == 1 or most.seeds_needed is None else "up to "
    return f"{'it needs' if len(compared) == 1 else 'they need'} {up_to}{seeds_needed(most)}"


def _largest(compared: Sequence[Comparison]) -> str:
    found = max(compared, key=lambda each: settled(abs(each.verdict.difference.value)))
    difference = found.verdict.difference
    side = "more" if difference.value > 0 else "less"
    known = difference.low is not None and difference.high is not None
    interval = f" (difference {ends(difference)}, 95% interval)" if known else ""
    return (
        f"The largest: to {view(found.attack, found.reveals)}, {listed(found.first)} gives away "
        f"{points(difference.value, False)} points {side} than {listed(found.second)}{interval}."
    )


def _other_evaluator(results: AuditResults, name: str) -> str:
    """How the verdicts come out under another evaluator, and where it contradicts the first."""
    compared = main_comparisons(results, name)
    if not compared:
        return ""
    verdicts = [each.verdict.verdict for each in compared]
    counts = [(verdicts.count("differs"), "differ" if verdicts.count("differs") > 1 else "differs")]
    counts += [(verdicts.count("equivalent"), "equivalent"), (verdicts.count("inconclusive"), "open")]
    said = [
        f"{count} {word}" if word.startswith("differ") else f"{_are(count)} {word}" for count, word in counts if count
    ]
    return f"Under the evaluator {name}, of {many(len(compared), 'comparison')} {listed(said)}."


def _unexpected(results: AuditResults) -> str:
    """Comparisons within one arithmetic that did not come out equal, without a difference being shown."""
    compared = [each for each in _all_comparisons(results, results.judge) if not is_evidence(results, each)]
    unequal = [each for each in compared if not each.verdict.identical]
    if not unequal:
        return ""
    pairs = listed(list(dict.fromkeys(pair(each.first, each.second) for each in unequal)))
    return (
        f"Within one arithmetic, {many(len(unequal), 'comparison')} did not come out identical ({pairs}); no "
        f"difference was shown there, and {'it is' if len(unequal) == 1 else 'they are'} not counted above."
    )


def _leakage(results: AuditResults) -> str:
    """What black-box attacks get at all, beside controls and chance."""
    trained = [row for row in judged_rows(results) if row.target in ("trained", "given")]
    black = [row for row in trained if row.access == "black_box"] or trained
    null = [row for row in judged_rows(results) if row.target not in ("trained", "given")]
    if not black:
        return ""
    who = "By queries alone" if black[0].access == "black_box" else "With gradients"
    said = f"{who}, attackers get pictures that the evaluator {results.judge} recognises in {_values(results, black)}"
    if null:
        same = {(row.attack, row.reveals) for row in black}
        held = [row for row in null if (row.attack, row.reveals) in same] or null
        kinds = listed(list(dict.fromkeys(TARGETS.get(row.target, row.target) for row in held)))
        said += f"; the same attacks on {kinds}, {_values(results, held)}"
    return f"{said}; guessing, {chance_label(results.dataset.chance)}."


def judged_rows(results: AuditResults) -> list[AuditRow]:
    """Rows that the first evaluator has judged."""
    return [row for row in results.rows if results.judge in row.evaluators]


def _values(results: AuditResults, rows: Sequence[AuditRow]) -> str:
    values = [row.evaluators[results.judge].attack_accuracy.value for row in rows]
    return percent_range(min(values), max(values))


def _replays(results: AuditResults) -> str:
    said = [
        f"Spikes on {pair.substrate} are not those on {pair.reference}, which promises them."
        for each in results.verification
        for pair in each.pairs
        if pair.promised and not pair.exact
    ]
    for name in dict.fromkeys(each.substrate for each in results.replays):
        own = [each for each in results.replays if each.substrate == name]
        other = own[0].of
        if results.stands_for.get(name):
            said.append(f"On {name}, {many(len(own), 'attack')} did the same as on {other} to the last bit.")
        else:
            differ = sum(not each.identical for each in own)
            said.append(f"On {name}, {differ} of {many(len(own), 'attack')} did not do the same as on {other}.")
    return " ".join(said)


def _unfinished(results: AuditResults) -> str:
    left = results.cells["planned"] - results.cells["done"]
    return f"{many(left, 'cell')} of {results.cells['planned']:,} are not done; they may change this." if left else ""


def _names(results: AuditResults) -> list[str]:
    return list(dict.fromkeys(row.substrate for row in results.rows if row.target in ("trained", "given")))


def _substrates(results: AuditResults) -> str:
    return listed(_names(results))
