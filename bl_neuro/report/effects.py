"""The effects of deployment steps and mitigations, for the headline, with disagreements between evaluators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bl_neuro.attacks.registry import attack_title
from bl_neuro.experiment.findings.estimates import LadderFinding, LadderStep, MitigationFinding, Verdict
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.views import mitigation_cases
from bl_neuro.report.words import limits_queries, listed, mitigation, points, view
from bl_neuro.rounding import settled


def disagree(one: Verdict, other: Verdict) -> bool:
    """Whether two evaluators disagree on whether there is a difference, whether it exceeds the margin, or its sign."""
    if not (one.found or other.found):
        return False
    same_side = (settled(one.difference.value) > 0) == (settled(other.difference.value) > 0)
    return (one.found, one.verdict) != (other.found, other.verdict) or not same_side


def ladder_lines(results: Findings) -> list[str]:
    """The steps of deployment that change leakage significantly."""
    lines, unchanged = [], []
    hits = [ladder for ladder in results.ladder if ladder.measure == "hit"]
    for ladder in (ladder for ladder in hits if ladder.evaluator == results.judge):
        attack = attack_title(ladder.attack)
        same = [other for other in hits if (other.attack, other.reveals) == (ladder.attack, ladder.reveals)]
        against = [text for other in same if other.evaluator != results.judge for text in _steps_against(ladder, other)]
        changed = [step for step in ladder.steps if step.change.found]
        if changed:
            named = [(step.name, _under_all(step, ladder, same)) for step in changed]
            within = ", by less than the margin" if all(s.change.verdict == "equivalent" for s in changed) else ""
            verb = "changes" if len(changed) == 1 else "change"
            line = (
                f"Under the evaluator {results.judge}, of the steps of deployment, {_steps(ladder, named)} {verb} what "
                f"{attack} gets{within}."
            )
            lines.append(" ".join((line, *against)))
        elif against:
            lines.append(" ".join((_no_step([attack], results.judge), *against)))
        else:
            unchanged.append(attack)
    return [*lines, _no_step(unchanged, results.judge)] if unchanged else lines


def _under_all(step: LadderStep, ladder: LadderFinding, ladders: Sequence[LadderFinding]) -> str:
    """The change at a step under its evaluator, and under the others: `+2.1 points; under spiking +1.5`."""
    others = {
        other.evaluator: theirs.change
        for other in ladders
        if other is not ladder
        for theirs in other.steps
        if theirs.name == step.name
    }
    return "; ".join([f"{points(step.change.difference.value)} points", *_values(others)])


def _values(others: Mapping[str, Verdict]) -> list[str]:
    return [f"under {name} {points(verdict.difference.value)}" for name, verdict in others.items()]


def _no_step(attacks: Sequence[str], evaluator: str) -> str:
    get = "gets" if len(attacks) == 1 else "get"
    return (
        f"Under the evaluator {evaluator}, no single step of deployment was shown to change what "
        f"{listed(list(attacks))} {get}."
    )


def _steps_against(ladder: LadderFinding, other: LadderFinding) -> list[str]:
    """The steps on which another evaluator disagrees."""
    changes = {step.name: step.change for step in other.steps}
    apart = [
        (step.name, f"{_outcome(changes[step.name])}; {ladder.evaluator}: {_outcome(step.change)}")
        for step in ladder.steps
        if step.name in changes and disagree(step.change, changes[step.name])
    ]
    return [f"The evaluator {other.evaluator} disagrees on {_steps(ladder, apart)}."] if apart else []


def _steps(ladder: LadderFinding, named: Iterable[tuple[str, str]]) -> str:
    words = {level.rung: level.step for level in ladder.levels}
    return listed([f"“{words[name]}” ({text})" for name, text in named])


def mitigation_lines(results: Findings) -> list[str]:
    """The mitigations that reduce leakage most and, separately, query caps, which also limit regular users."""
    cases = mitigation_cases(results.mitigations)
    caps = [case for case in cases if limits_queries(case[0].mitigation)]
    others = [case for case in cases if not limits_queries(case[0].mitigation)]
    leave = " that leave the attacker’s budget alone" if caps else ""
    return [
        *([_best(others, results.judge, leave)] if _under(others, results.judge) else []),
        *([_caps(caps, results.judge)] if _under(caps, results.judge) else []),
    ]


def _best(cases: list[list[MitigationFinding]], judge: str, leave: str) -> str:
    shown = _removing(_under(cases, judge))
    if not shown:
        count = len({(case[0].mitigation, case[0].setting) for case in cases})
        which = "the one mitigation" if count == 1 else f"none of {count} mitigations"
        none = f"Under the evaluator {judge}, {which}{leave} was {'not ' if count == 1 else ''}shown to remove leakage."
        names = dict.fromkeys(tried.evaluator for case in cases for tried in case if tried.evaluator != judge)
        others = [(name, _removing(_under(cases, name))) for name in names]
        return " ".join(
            (none, *(f"The evaluator {name} disagrees: {_most(own, cases)}." for name, own in others if own))
        )
    best = max(shown, key=_removed)
    lost = None if best.accuracy is None else best.accuracy.lost
    cost = "" if lost is None else f", at a cost of {points(lost.value, False)} points of the target’s accuracy"
    line = (
        f"Under the evaluator {judge}, of the mitigations{leave}, “{mitigation(best.mitigation, best.setting)}” "
        f"removes most: {points(_removed(best), False)} points from {view(best.attack, best.reveals)}"
        f"{_bracketed(_removals(best, cases))}{cost}."
    )
    own = next(case for case in cases if best in case)
    return " ".join((line, *(text for other in own if other is not best for text in _against(best, other))))


def _caps(cases: list[list[MitigationFinding]], judge: str) -> str:
    shown = _removing(_under(cases, judge))
    if shown:
        least, most = (points(pick(map(_removed, shown)), False) for pick in (min, max))
        span = f"{most} points" if least == most else f"{least} to {most} points"
        ranges = _bracketed(_spans(cases, judge))
        line = (
            f"Under the evaluator {judge}, caps on queries remove {span}{ranges}, and hold honest users to the same "
            "number."
        )
    else:
        line = f"Under the evaluator {judge}, no cap on queries was shown to remove leakage."
    apart = []
    for case in cases:
        own = next((tried for tried in case if tried.evaluator == judge), None)
        apart += [] if own is None else [text for other in case if other is not own for text in _against(own, other)]
    return " ".join((line, *apart))


def _against(own: MitigationFinding, other: MitigationFinding) -> list[str]:
    if not disagree(own.leakage.removed, other.leakage.removed):
        return []
    case = f"“{mitigation(own.mitigation, own.setting)}” against {view(own.attack, own.reveals)}"
    outcomes = f"{_outcome(other.leakage.removed)}; {own.evaluator}: {_outcome(own.leakage.removed)}"
    return [f"The evaluator {other.evaluator} disagrees on {case} ({outcomes})."]


def _bracketed(texts: Sequence[str]) -> str:
    return f" ({'; '.join(texts)})" if texts else ""


def _removals(best: MitigationFinding, cases: list[list[MitigationFinding]]) -> list[str]:
    """What the same mitigation removes under the other evaluators."""
    own = next(case for case in cases if best in case)
    return _values({other.evaluator: other.leakage.removed for other in own if other is not best})


def _spans(cases: list[list[MitigationFinding]], judge: str) -> list[str]:
    """The range of what the mitigations remove under each other evaluator, of those shown to remove under `judge`."""
    spans: dict[str, list[float]] = {}
    for case in cases:
        if _removing(_under([case], judge)):
            for tried in case:
                spans.setdefault(tried.evaluator, []).append(_removed(tried))
    return [
        f"under {name} {' to '.join(dict.fromkeys((points(min(removed)), points(max(removed)))))}"
        for name, removed in spans.items()
        if name != judge
    ]


def _most(shown: list[MitigationFinding], cases: list[list[MitigationFinding]]) -> str:
    best = max(shown, key=_removed)
    removes = f"“{mitigation(best.mitigation, best.setting)}” removes {points(_removed(best), False)} points"
    several = ", the most of several" if len(shown) > 1 else ""
    return f"{removes} from {view(best.attack, best.reveals)}{_bracketed(_removals(best, cases))}{several}"


def _outcome(verdict: Verdict) -> str:
    word = "not shown" if not verdict.found else "beyond the margin" if verdict.verdict == "differs" else "a small one"
    return f"{points(verdict.difference.value)} points, {word}"


def _under(cases: list[list[MitigationFinding]], evaluator: str) -> list[MitigationFinding]:
    return [tried for case in cases for tried in case if tried.evaluator == evaluator]


def _removing(tried: list[MitigationFinding]) -> list[MitigationFinding]:
    return [finding for finding in tried if finding.leakage.removed.found and _removed(finding) > 0]


def _removed(tried: MitigationFinding) -> float:
    return settled(tried.leakage.removed.difference.value)
