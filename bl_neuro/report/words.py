"""Formats numbers and names for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bl_neuro.attacks.registry import attack_note, attack_title
from bl_neuro.backends.registry import ANN, arithmetic_title
from bl_neuro.experiment.findings.estimates import ControlFinding, Mean, Verdict
from bl_neuro.experiment.findings.models import Findings, Unit
from bl_neuro.experiment.findings.plan_models import ComparisonFamily
from bl_neuro.mitigations.base import ANSWER_HOOKS
from bl_neuro.mitigations.registry import installed_mitigation
from bl_neuro.rounding import fixed, settled


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction in 0..1 as a percentage; only an exact 0 or 1 prints as 0% or 100%."""
    near = settled(fraction)  # a mean of ones may end just below 1
    for places in (decimals, 1, 2, 3):
        text = fixed(100.0 * near, places)
        if 0.0 < float(text) < 100.0 or near in (0.0, 1.0):
            return f"{text}%"
    return "<0.001%" if fraction < 0.5 else ">99.999%"


def chance_label(fraction: float) -> str:
    """The accuracy of guessing as a percentage, with one decimal only if needed: 10%, 2.5%."""
    return fixed(100.0 * fraction, 1).removesuffix(".0") + "%"


def percent_range(low: float, high: float) -> str:
    """Two fractions in 0..1 as one percentage, or as `low–high%` if they print differently."""
    first, last = percent(low), percent(high)
    return first if first == last else f"{first.removesuffix('%')}–{last}"


def decimal(value: float, places: int = 2) -> str:
    """A number with a typographic minus sign, without a sign for zero."""
    text = fixed(value, places)
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def amount(value: float) -> str:
    """A non-negative number with separated thousands; one decimal below ten if it is not whole."""
    near = settled(value)
    return fixed(near, 1, ",") if near < 10 and near != int(near) else fixed(near, 0, ",")


def listed(words: list[str], last: str = "and") -> str:
    """`a`, `a and b`, or `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


TARGETS = {
    "trained": "trained targets",
    "given": "the given model",
    "untrained": "untrained targets",
    "shuffled_labels": "targets trained on shuffled labels",
    "shuffled_weights": "the model with shuffled weights",
}
SEEN = {
    "membrane": "the output membrane",
    "scores": "a score for each class",
    "spikes": "the output spikes",
    "counts": "spike counts",
    "label": "the winning class alone",
}
"""The outputs of a black box, in short words."""
VERDICTS = {"differs": "differs", "equivalent": "equivalent", "inconclusive": "open"}
MINUS = "−"
LEVEL = 0.05
SMALL_EXCESS = 0.2
"""Largest excess over chance that a null control must be able to find to count as a check."""
SHOWN_LESS = (
    "A level that rises where less is shown means that the attack makes better use of the poorer view, not that "
    "showing less leaks more."
)
FAMILIES = (
    "Steps of the ladder and mitigations are separate families of Holm’s correction: the same change may be found in "
    "one and not in the other."
)


def view(attack: str, reveals: str) -> str:
    """An attack and the output that it uses: `v2, counts`; a ladder may use several outputs."""
    return f"{attack_title(attack)}, {reveals}"


def shown_less(results: Findings) -> str:
    """The explanation of the steps of ladders that reveal less; empty if there are no such steps."""
    ladders = [ladder for ladder in results.ladder if any(level.rung.startswith("reveals") for level in ladder.levels)]
    names = results.attack_names
    notes = dict.fromkeys(attack_note(names.get(ladder.attack, ladder.attack)) for ladder in ladders)
    return " ".join([*filter(None, notes), SHOWN_LESS]) if ladders else ""


def network_name(substrate: str) -> str:
    """The substrate of a network, or that it is an ANN twin."""
    return "ANN twin" if substrate == ANN else substrate


def arithmetic(name: str) -> str:
    """The arithmetic of substrates in words: `floating point`."""
    return arithmetic_title(name).replace("'", "’")


def mitigation(kind: str, setting: str) -> str:
    """The effect of a mitigation in words: `answers rounded to 0.1`."""
    return installed_mitigation(kind).phrase.format(setting=setting)


def limits_queries(kind: str) -> bool:
    """Whether a mitigation changes no answers and only limits their number."""
    mitigation = installed_mitigation(kind)
    return mitigation.changes("budget") and not mitigation.changes(*ANSWER_HOOKS)


def points(difference: float, sign: bool = True) -> str:
    """A difference of fractions in percentage points: `+1.5`, `−0.4`, `0.0`."""
    text = fixed(100 * difference, 1, "+") if sign else fixed(abs(100 * difference), 1)
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def margin_points(margin: float) -> str:
    """A margin, with a decimal only if needed: `10 points`."""
    return f"{points(margin, False).removesuffix('.0')} points"


def under_others(others: Mapping[str, Verdict]) -> str:
    """The same difference under further evaluators: `; under spiking +1.2 points (−0.3 to +2.7)`. Empty for none."""
    return "".join(
        f"; under {name} {points(verdict.difference.value)} points ({ends(verdict.difference)})"
        for name, verdict in others.items()
    )


def margin_lines(results: Findings) -> list[str]:
    """The margin under each evaluator with its reason: `conv: 4.4 points, 20% of the range from ...`."""
    if not results.margins:
        return [] if results.margin is None else [f"{results.judge}: {margin_points(results.margin)}"]
    return [
        f"{one.evaluator}: {'no margin' if one.margin is None else margin_points(one.margin)}, {one.reason}"
        for one in results.margins
    ]


def family_lines(families: Sequence[ComparisonFamily]) -> list[str]:
    """The declared families, one line each: the question, how many comparisons, and which."""
    lines = []
    for family in families:
        each = "" if len(family.judged_by) == 1 else f", in each of {len(family.judged_by)} families"
        less = f" ({family.collapsed:,} more are identical by construction)" if family.collapsed else ""
        count = f"{many(len(family.comparisons), 'comparison')}{less}{each} ({listed(family.judged_by)})"
        lines.append(f"{family.question} {count}, {family.correction}: {'; '.join(family.comparisons)}")
    return lines


def bounded(difference: float) -> float:
    """Clips a difference of fractions to its possible range, which Student's interval of few targets may exceed."""
    return min(max(difference, -1.0), 1.0)


def ends(mean: Mean) -> str:
    """The interval of a difference in percentage points, clipped to its possible range, or that there is none."""
    if mean.low is None or mean.high is None or mean.seeds < 2:
        return "no interval"
    return f"{points(bounded(mean.low))}\u00a0to\u00a0{points(bounded(mean.high))}"


def share(mean: Mean | None) -> str:
    """An estimate of a fraction, as a percentage."""
    return "–" if mean is None else percent(mean.value)


def share_ends(mean: Mean | None) -> str:
    """The interval of an estimate of a fraction."""
    if mean is None or mean.low is None or mean.high is None:
        return ""
    return percent_range(mean.low, mean.high)


def judged(verdict: Verdict) -> str:
    """The verdict in one word; "identical" if two sides that compute the same score the same.

    "none shown" if no difference was found and equivalence was not asked.
    """
    if verdict.verdict == "inconclusive" and verdict.margin is None:
        return "none shown"
    return "identical" if verdict.exact else VERDICTS[verdict.verdict]


def footing(verdict: Verdict, unit: Unit = "target seed") -> str:
    """The note on a verdict: that all scores agree, how many seeds it needs, or that there is a small difference."""
    if judged(verdict) == "identical":
        return ""
    notes = [all_the_same(verdict)] if verdict.identical else []
    if verdict.verdict == "equivalent" and verdict.found:
        notes.append("a small difference")
    if judged(verdict) == "none shown":
        notes.append("equivalence is not asked")
    elif verdict.verdict == "inconclusive":
        notes.append(units_needed(verdict, unit).replace(" target", ""))
    return "; ".join(notes)


def all_the_same(verdict: Verdict) -> str:
    """The fact behind a verdict on identical scores."""
    return f"every inversion scores the same (n = {verdict.difference.n:,})"


def verdict_line(verdict: Verdict, unit: Unit = "target seed") -> str:
    """The verdict with its numbers on one line: `equivalent: +1.5 points (−0.4 to +3.4)`."""
    interval = ends(verdict.difference).replace("\u00a0", " ")
    line = f"{judged(verdict)}: {points(verdict.difference.value)} points ({interval})"
    remark = footing(verdict, unit)
    return f"{line}, {remark}" if remark else line


def effect(verdict: Verdict) -> str:
    """The effect of a mitigation, from the verdict on leakage without minus with it."""
    if verdict.identical:
        return "removed nothing here"
    if verdict.verdict == "differs":
        return "removes leakage" if verdict.difference.value > 0 else "adds leakage"
    if verdict.verdict == "inconclusive" or verdict.margin is None:
        return "open" if verdict.margin else "none shown"
    return f"removes less than {margin_points(verdict.margin)}"


def effect_footing(verdict: Verdict, unit: Unit = "target seed") -> str:
    """The note on an effect."""
    if verdict.verdict == "equivalent" and verdict.found and not verdict.identical:
        return "a small effect" if verdict.difference.value > 0 else "a small effect: it adds leakage"
    return footing(verdict, unit)


def against_chance(control: ControlFinding) -> str:
    """How a null control compares with chance."""
    if control.above_chance is None:
        return "not judged"
    if control.above_chance:
        return "above chance"
    below = control.adjusted_p is not None and control.adjusted_p < LEVEL and control.estimate.value < control.chance
    return "below chance" if below else "not above chance"


def blind(control: ControlFinding) -> bool:
    """Whether a control that is not above chance shows little: one unit, or only a large excess would be found."""
    if control.detectable is None or control.above_chance:
        return False
    return control.estimate.seeds < 2 or control.detectable - control.chance > SMALL_EXCESS


def seen_by_control(control: ControlFinding, unit: Unit = "target seed") -> str:
    """What a control can show: the smallest attack accuracy that it would likely find above chance."""
    if control.detectable is None:
        return ""
    few = f"; one {unit} says nothing of others" if control.estimate.seeds < 2 else ""
    count = f"{many(control.estimate.n, 'inversion')} of {many(control.estimate.seeds, unit)}"
    if control.detectable >= 1:
        return f"{count} cannot show any excess over chance{few}"
    return f"{count} would show, with a probability of 80%, an accuracy of {percent(control.detectable)} or more{few}"


def p_value(p: float) -> str:
    """`p 0.012`, `p < 0.001`."""
    return "p < 0.001" if settled(p) < 0.001 else f"p {fixed(p, 3)}"


def seen(difference: float) -> str:
    """The smallest detectable difference or margin of a plan, in points; "none" if it exceeds the possible range."""
    return "none" if difference >= 1 else points(difference, False)


def whole_percent(fraction: float) -> str:
    """A label of an axis of fractions."""
    return f"{fixed(100 * fraction, 0)}%".replace("-", MINUS)


def units_needed(verdict: Verdict, unit: Unit = "target seed") -> str:
    """How many target seeds, or restarts for a given model, would give a verdict."""
    if verdict.seeds_needed is None:
        return f"more than 10,000 {unit}s"
    return f"about {verdict.seeds_needed:,} {unit}s"


def pair(first: Sequence[str], second: Sequence[str]) -> str:
    """The compared substrates: `loihi less snntorch and norse`."""
    return f"{listed(list(first))} less {listed(list(second))}"


def many(count: int, one: str, several: str | None = None) -> str:
    """`1 pair`, `3 pairs`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def are(count: int) -> str:
    """`1 is`, `3 are`."""
    return f"{count:,} {'is' if count == 1 else 'are'}"
