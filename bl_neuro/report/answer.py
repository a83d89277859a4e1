"""The headline of an audit: how much leaks, and whether the substrate changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bl_neuro.experiment.findings.estimates import SubstrateComparison
from bl_neuro.experiment.findings.membership import MembershipFindings
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.effects import ladder_lines, mitigation_lines
from bl_neuro.report.leakage import leakage_lead, leakage_lines
from bl_neuro.report.limits import accuracy_warnings
from bl_neuro.report.membership import membership_answer, membership_lines
from bl_neuro.report.secrets import secret_lines, secret_sentences, secret_verdict
from bl_neuro.report.words import (
    all_the_same,
    are,
    arithmetic,
    ends,
    listed,
    many,
    margin_points,
    pair,
    points,
    under_others,
    units_needed,
    view,
)
from bl_neuro.rounding import settled

NOT_COMPARED = "Not compared"
ADD_SUBSTRATE = (
    "With a substrate of another arithmetic, such as snntorch beside loihi, floating point and fixed point would be "
    "compared for this model."
)


@dataclass(frozen=True)
class AuditAnswer:
    """The main findings of an audit in words.

    title: of the report. leakage: what attacks recover. question: whether the substrate changes it. word: the answer to
    the question in one to three words. lead: the verdict behind the answer. more: further findings, one or two
    sentences each.
    """

    title: str
    leakage: str
    question: str
    word: str
    lead: str
    more: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.leakage, self.question, f"{self.word}.", self.lead, *self.more))


def audit_answer(results: Findings) -> AuditAnswer:
    """The answer by the first evaluator's attack accuracy, followed by the verdicts under other evaluators."""
    if not results.rows and results.secrets is None and results.membership is not None:
        return _of_membership(results, results.membership)
    compared = main_comparisons(results, results.judge)
    of_secrets_alone = results.secrets is not None and not results.rows
    word, lead = _verdict(results, compared)
    if results.secrets is not None and of_secrets_alone:
        word, lead = secret_verdict(results.secrets)
    leakage = [] if of_secrets_alone else [*accuracy_warnings(results), leakage_lead(results)]
    more = [
        *secret_lines(results),
        *leakage_lines(results),
        *membership_lines(results),
        *(_other_evaluator(results, evaluator.name) for evaluator in results.evaluators[1:]),
        _unexpected(results),
        *ladder_lines(results),
        *mitigation_lines(results),
        _replays(results),
        _not_run(results),
        _unfinished(results),
    ]
    of = results.dataset.name
    return AuditAnswer(
        title=f"What does this model, audited on {of}, give away?"
        if results.of_given_model
        else f"What do networks trained on {of} give away, and does the substrate change it?",
        leakage=" ".join([*secret_sentences(results), *leakage]),
        question="Does the substrate change what this model gives away?"
        if results.of_given_model
        else "Does the substrate change leakage?",
        word=word,
        lead=lead,
        more=tuple(text for text in more if text),
    )


def _of_membership(results: Findings, membership: MembershipFindings) -> AuditAnswer:
    """The answer of an audit that only measures membership."""
    answer = membership_answer(results, membership)
    return AuditAnswer(
        title=f"Can an attacker tell which samples of {results.dataset.name} a network was trained on?",
        leakage=answer.leakage,
        question=answer.question,
        word=answer.word,
        lead=answer.lead,
        more=tuple(text for text in (*answer.more, _not_run(results), _unfinished(results)) if text),
    )


def main_comparisons(results: Findings, evaluator: str) -> list[SubstrateComparison]:
    """Comparisons of attack accuracy under one evaluator, except pairs that are equal by construction."""
    return [comparison for comparison in _all_comparisons(results, evaluator) if results.is_evidence(comparison)]


def _all_comparisons(results: Findings, evaluator: str) -> list[SubstrateComparison]:
    return [
        comparison
        for comparison in results.verdicts
        if comparison.evaluator == evaluator and comparison.measure == "hit"
    ]


def _verdict(results: Findings, compared: Sequence[SubstrateComparison]) -> tuple[str, str]:
    """The answer in a word, and the sentences that explain it."""
    if not compared:
        return _without_comparisons(results)
    word, sentences = _of_comparisons(results, compared)
    if not results.of_given_model:
        return word, sentences
    word = f"{word}, for this model" if word in ("Yes", "No") else word
    return word, f"{sentences} {_of_one_model(results, compared)}"


def _of_one_model(results: Findings, compared: Sequence[SubstrateComparison]) -> str:
    """The arithmetic of the substrates, and the scope of a verdict on one given model."""
    names = dict.fromkeys(name for comparison in compared for name in (*comparison.first, *comparison.second))
    kinds = {name: kind for name in names if (kind := results.arithmetic.get(name)) is not None}
    groups = {kind: [name for name, own in kinds.items() if own == kind] for kind in dict.fromkeys(kinds.values())}
    computes = listed(
        [
            f"{listed(names)} {'computes' if len(names) == 1 else 'compute'} in {arithmetic(kind)}"
            for kind, names in groups.items()
        ]
    )
    restarts = max(comparison.verdict.difference.seeds for comparison in compared)
    paired = (
        f"{'The comparison is' if len(compared) == 1 else 'Comparisons are'} paired over {many(restarts, 'restart')}"
    )
    return (
        f"{computes}{'. ' if computes else ''}{paired} and about this one model: another training of it may come out "
        "otherwise."
    )


def _without_comparisons(results: Findings) -> tuple[str, str]:
    names = results.substrates
    alike = [
        same
        for same in results.alike
        if same.evaluator == results.judge and not results.equal_by_construction(same.substrates)
    ]
    if alike:
        return "No", f"Under the evaluator {results.judge}, every inversion scores the same on {listed(names)}."
    if len(names) < 2:
        nothing = f"This audit has one substrate, {listed(names)}: there is nothing to compare."
        return NOT_COMPARED, f"{nothing} {ADD_SUBSTRATE}" if results.of_given_model else nothing
    shared = results.shared_arithmetic(names)
    if shared is not None:
        return NOT_COMPARED, (
            f"All substrates here, {listed(names)}, compute in {arithmetic(shared)}, so equal scores are expected "
            "by construction."
        )
    return "Not yet known", "No two substrates have finished cells that can be compared."


def _of_comparisons(results: Findings, compared: Sequence[SubstrateComparison]) -> tuple[str, str]:
    stated, under = results.margin_under(results.judge), f"Under the evaluator {results.judge},"
    margin = "" if stated is None else margin_points(stated)
    differ = [comparison for comparison in compared if comparison.verdict.verdict == "differs"]
    same = [comparison for comparison in compared if comparison.verdict.verdict == "equivalent"]
    open_ = [comparison for comparison in compared if comparison.verdict.verdict == "inconclusive"]
    total = many(len(compared), "comparison")
    if differ:
        rest = [f"{are(len(same))} equivalent within {margin}"] if same else []
        rest += [f"{are(len(open_))} open"] if open_ and stated else []
        tail = f"; {listed(rest)}" if rest else ""
        tail = f"{tail}{_why(results)}" if same else tail
        return "Yes", f"{under} a difference was found in {len(differ)} of {total}{tail}. {_largest(results, differ)}"
    largest = _largest(results, compared)
    if not open_:
        small = sum(comparison.verdict.found for comparison in same)
        remark = f" In {small} of them there is a difference, but a smaller one than that." if small else ""
        if small and len(same) == 1:
            remark = " There is a difference, but a smaller one than that."
        equal = f"{under} leakage is equal within {margin} in {_all(len(compared))}{_why(results)}.{remark}"
        return "No", f"{equal} {largest}".rstrip()
    if stated is None:
        none = f"{under} no difference was shown in {_all(len(open_))}, and equivalence is not asked"
        return "None shown", f"{none}{_why(results)}. {largest}".rstrip()
    needed, agree = _needed(results, open_), _all_agree(results, open_)
    if not same:
        which = "the one comparison is open" if len(open_) == 1 else f"all {len(open_)} comparisons are open"
        return (
            "Not yet known",
            f"{under} no difference was shown, and none was ruled out: {which}; {needed}.{agree} {largest}".rstrip(),
        )
    return "Not yet known", (
        f"{under} {len(same)} of {total} {'is' if len(same) == 1 else 'are'} equivalent within {margin} and "
        f"{are(len(open_))} open; {needed}{_why(results)}. No difference was shown.{agree} {largest}".rstrip()
    )


def _all_agree(results: Findings, open_: Sequence[SubstrateComparison]) -> str:
    """Which open comparisons have equal scores throughout, and why that does not settle them."""
    same = [comparison for comparison in open_ if comparison.verdict.identical]
    if not same:
        return ""
    which = listed(
        [
            f"{view(comparison.attack, comparison.reveals)}, {all_the_same(comparison.verdict)} on "
            f"{listed([*comparison.first, *comparison.second])}"
            for comparison in same
        ]
    )
    units = max(comparison.verdict.difference.seeds for comparison in same)
    return (
        f" In {which}; {many(units, results.unit)} {'does' if units == 1 else 'do'} not show that others would agree."
    )


def _all(count: int) -> str:
    return "the one comparison that was made" if count == 1 else f"each of {count} comparisons"


def _needed(results: Findings, compared: Sequence[SubstrateComparison]) -> str:
    """How many seeds or restarts inconclusive comparisons would need."""
    most = max((comparison.verdict for comparison in compared), key=lambda verdict: verdict.seeds_needed or 10**9)
    needed = units_needed(most, results.unit)
    up_to = "" if len(compared) == 1 or most.seeds_needed is None else "up to "
    return f"{'it needs' if len(compared) == 1 else 'they need'} {up_to}{needed}"


def _why(results: Findings) -> str:
    """The reason for the margin under the first evaluator, in brackets."""
    return next((f" ({one.reason})" for one in results.margins if one.evaluator == results.judge), "")


def _largest(results: Findings, compared: Sequence[SubstrateComparison]) -> str:
    """The largest difference, under every evaluator."""
    largest = max(compared, key=lambda comparison: settled(abs(comparison.verdict.difference.value)))
    difference = largest.verdict.difference
    if largest.verdict.identical:
        return ""
    side = "more" if difference.value > 0 else "less"
    others = {
        other.evaluator: other.verdict
        for other in results.verdicts
        if other.evaluator != largest.evaluator and _question(other) == _question(largest)
    }
    known = difference.low is not None and difference.high is not None
    interval = f" (95% interval of the difference {ends(difference)})" if known else ""
    verb = "gives" if len(largest.first) == 1 else "give"
    return (
        f"The largest difference: to {view(largest.attack, largest.reveals)}, {listed(largest.first)} {verb} away "
        f"{points(difference.value, False)} points {side} than {listed(largest.second)}{interval}"
        f"{under_others(others)}."
    )


def _question(comparison: SubstrateComparison) -> tuple[str, str, str, str, str]:
    """What a comparison asks, under whichever evaluator: a group of substrates counts by its first."""
    return comparison.attack, comparison.reveals, comparison.measure, comparison.first[0], comparison.second[0]


def _other_evaluator(results: Findings, name: str) -> str:
    """The verdicts under another evaluator."""
    compared = main_comparisons(results, name)
    if not compared:
        return ""
    verdicts = [comparison.verdict.verdict for comparison in compared]
    margin = results.margin_under(name)
    within = "" if margin is None else f" within {margin_points(margin)}"
    open_ = "open" if within else "without a difference that was shown, and equivalence is not asked"
    differ = verdicts.count("differs")
    counts = [
        *([f"{differ} {'differs' if differ == 1 else 'differ'}"] if differ else []),
        *([f"{are(count)} equivalent{within}"] if (count := verdicts.count("equivalent")) else []),
        *([f"{are(count)} {open_}"] if (count := verdicts.count("inconclusive")) else []),
    ]
    reason = next((f" ({one.reason})" for one in results.margins if one.evaluator == name), "")
    if len(counts) == 1:
        subject = "the one comparison" if len(compared) == 1 else f"all {len(compared)} comparisons"
        return f"Under the evaluator {name}, {subject} {counts[0].split(' ', 1)[1]}{reason}."
    return f"Under the evaluator {name}, of {len(compared)} comparisons {listed(counts)}{reason}."


def _unexpected(results: Findings) -> str:
    """Comparisons within one arithmetic whose scores differ, without a significant difference."""
    within = [
        comparison for comparison in _all_comparisons(results, results.judge) if not results.is_evidence(comparison)
    ]
    unequal = [comparison for comparison in within if not comparison.verdict.identical]
    if not unequal:
        return ""
    pairs = listed(list(dict.fromkeys(pair(comparison.first, comparison.second) for comparison in unequal)))
    return (
        f"Within one arithmetic, {many(len(unequal), 'comparison')} did not come out identical under the evaluator "
        f"{results.judge} ({pairs}); no difference was shown there, and {'it is' if len(unequal) == 1 else 'they are'} "
        "not counted above."
    )


def _replays(results: Findings) -> str:
    lines = [
        f"Spikes on {pair.substrate} are not those on {pair.reference}, which promises them."
        for verification in results.verification
        for pair in verification.pairs
        if pair.promised and not pair.exact
    ]
    for name in dict.fromkeys(replay.substrate for replay in results.replays):
        own = [replay for replay in results.replays if replay.substrate == name]
        other = own[0].of
        if results.stands_for.get(name):
            lines.append(f"On {name}, {many(len(own), 'attack')} did the same as on {other} to the last bit.")
        else:
            differ = sum(not replay.identical for replay in own)
            lines.append(f"On {name}, {differ} of {many(len(own), 'attack')} did not do the same as on {other}.")
    return " ".join(lines)


def _not_run(results: Findings) -> str:
    names = list(results.not_run)
    return f"Not run here, since not installed: {listed(names)}." if names else ""


def _unfinished(results: Findings) -> str:
    left = results.cells.planned - results.cells.done
    if not left:
        return ""
    undone = f"{many(left, 'cell')} of {results.cells.planned:,}"
    return (
        f"{undone} is not done; it may change this." if left == 1 else f"{undone} are not done; they may change this."
    )
