"""What steps of deployment and mitigations do, for the headline: under the judge, and where others say no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bl_neuro.experiment.findings.estimates import Ladder, Mitigation, Verdict
from bl_neuro.experiment.findings.models import AuditResults
from bl_neuro.report.views import mitigation_cases
from bl_neuro.report.words import ATTACKS, listed, many, mitigation, points, view
from bl_neuro.rounding import settled

CAP = "query_cap"


def disagree(one: Verdict, other: Verdict) -> bool:
    """Whether two evaluators say different things: found or not, beyond the margin or not, more or less."""
    if not (one.found or other.found):
        return False
    same_side = (settled(one.difference.value) > 0) == (settled(other.difference.value) > 0)
    return (one.found, one.verdict) != (other.found, other.verdict) or not same_side


def ladder_lines(results: AuditResults) -> list[str]:
    """The steps of deployment that change leakage, as far as was shown."""
    said, none = [], []
    hits = [each for each in results.ladder if each.measure == "hit"]
    for ladder in (each for each in hits if each.evaluator == results.judge):
        attack = ATTACKS.get(ladder.attack, ladder.attack)
        same = [each for each in hits if (each.attack, each.reveals) == (ladder.attack, ladder.reveals)]
        otherwise = [text for each in same if each.evaluator != results.judge for text in _steps_against(ladder, each)]
        found = [each for each in ladder.steps if each.change.found]
        if found:
            steps = _steps(ladder, [(each.name, points(each.change.difference.value) + " points") for each in found])
            within = ", by less than the margin" if all(each.change.verdict == "equivalent" for each in found) else ""
            verb = "changes" if len(found) == 1 else "change"
            said.append(_joined(f"Of the steps of deployment, {steps} {verb} what {attack} gets{within}.", otherwise))
        elif otherwise:
            said.append(_joined(_no_step([attack]), otherwise))
        else:
            none.append(attack)
    return [*said, _no_step(none)] if none else said


def _no_step(attacks: Sequence[str]) -> str:
    get = "gets" if len(attacks) == 1 else "get"
    return f"No single step of deployment was shown to change what {listed(list(attacks))} {get}."


def _steps_against(ladder: Ladder, other: Ladder) -> list[str]:
    """The steps of which another evaluator says something else."""
    changes = {each.name: each.change for each in other.steps}
    apart = [
        (each.name, _came_out(changes[each.name]))
        for each in ladder.steps
        if each.name in changes and disagree(each.change, changes[each.name])
    ]
    return [f"Not so under {other.evaluator}: {_steps(ladder, apart)}."] if apart else []


def _steps(ladder: Ladder, said: Iterable[tuple[str, str]]) -> str:
    words = {level.rung: level.step for level in ladder.levels}
    return listed([f"“{words[name]}” ({text})" for name, text in said])


def mitigation_lines(results: AuditResults) -> list[str]:
    """What was shown to remove most of leakage, and apart from it what caps on queries do, which cost honest users."""
    cases = mitigation_cases(results.mitigations)
    caps = [case for case in cases if case[0].mitigation == CAP]
    others = [case for case in cases if case[0].mitigation != CAP]
    leave = " that leave the attacker’s budget alone" if caps else ""
    return [
        *([_best(others, results.judge, leave)] if _under(others, results.judge) else []),
        *([_caps(caps, results.judge)] if _under(caps, results.judge) else []),
    ]


def _best(cases: list[list[Mitigation]], judge: str, leave: str) -> str:
    shown = _removing(_under(cases, judge))
    if not shown:
        count = len({(case[0].mitigation, case[0].setting) for case in cases})
        none = f"None of {many(count, 'mitigation')}{leave} was shown to remove leakage."
        names = dict.fromkeys(each.evaluator for case in cases for each in case if each.evaluator != judge)
        found = [(name, _removing(_under(cases, name))) for name in names]
        return _joined(none, [f"Not so under {name}: {_most(own)}." for name, own in found if own])
    best = max(shown, key=_removed)
    lost = None if best.accuracy is None else best.accuracy.lost
    cost = "" if lost is None else f", at a cost of {points(lost.value, False)} points of the target’s accuracy"
    said = (
        f"Of the mitigations{leave}, “{mitigation(best.mitigation, best.setting)}” removes most: "
        f"{points(_removed(best), False)} points from {view(best.attack, best.reveals)}{cost}."
    )
    own = next(case for case in cases if best in case)
    return _joined(said, [text for other in own if other is not best for text in _against(best, other)])


def _caps(cases: list[list[Mitigation]], judge: str) -> str:
    shown = _removing(_under(cases, judge))
    if shown:
        least, most = (points(pick(map(_removed, shown)), False) for pick in (min, max))
        span = f"{most} points" if least == most else f"{least} to {most} points"
        said = f"Caps on queries remove {span}, and hold honest users to the same number."
    else:
        said = "No cap on queries was shown to remove leakage."
    apart = []
    for case in cases:
        own = next((each for each in case if each.evaluator == judge), None)
        apart += [] if own is None else [text for other in case if other is not own for text in _against(own, other)]
    return _joined(said, apart)


def _against(own: Mitigation, other: Mitigation) -> list[str]:
    if not disagree(own.leakage.removed, other.leakage.removed):
        return []
    said = f"“{mitigation(own.mitigation, own.setting)}” against {view(own.attack, own.reveals)}"
    return [f"Not so under {other.evaluator}: {said} ({_came_out(other.leakage.removed)})."]


def _most(shown: list[Mitigation]) -> str:
    best = max(shown, key=_removed)
    said = f"“{mitigation(best.mitigation, best.setting)}” removes {points(_removed(best), False)} points"
    return f"{said} from {view(best.attack, best.reveals)}{', the most of several' if len(shown) > 1 else ''}"


def _came_out(found: Verdict) -> str:
    word = "not shown" if not found.found else "beyond the margin" if found.verdict == "differs" else "a small one"
    return f"{points(found.difference.value)} points, {word}"


def _under(cases: list[list[Mitigation]], evaluator: str) -> list[Mitigation]:
    return [each for case in cases for each in case if each.evaluator == evaluator]


def _removing(tried: list[Mitigation]) -> list[Mitigation]:
    return [each for each in tried if each.leakage.removed.found and _removed(each) > 0]


def _removed(tried: Mitigation) -> float:
    return settled(tried.leakage.removed.difference.value)


def _joined(said: str, otherwise: Sequence[str]) -> str:
    return " ".join((said, *otherwise))
