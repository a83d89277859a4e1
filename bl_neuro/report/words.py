"""Numbers and names as a report prints them."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.experiment.findings.estimates import ControlFinding, Estimate, Verdict
from bl_neuro.rounding import fixed, settled

ATTACKS = {
    "v1": "v1",
    "v2": "v2",
    "v2_gradient": "v2 gradient",
    "ann": "ANN baseline",
    "cma_es": "CMA-ES",
    "one_plus_one": "(1+1)-ES",
    "random": "random search",
    "transfer": "transfer",
}


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction in 0..1 as a percentage; only an exact 0 or 1 prints as 0% or 100%."""
    near = settled(fraction)  # a mean of ones may end just below 1
    for places in (decimals, 1, 2, 3):
        text = fixed(100.0 * near, places)
        if 0.0 < float(text) < 100.0 or near in (0.0, 1.0):
            return f"{text}%"
    return "<0.001%" if fraction < 0.5 else ">99.999%"


def chance_label(fraction: float) -> str:
    """What guessing scores, as a percentage with one decimal only where it needs one: 10%, 2.5%."""
    return fixed(100.0 * fraction, 1).removesuffix(".0") + "%"


def percent_range(low: float, high: float) -> str:
    """Two fractions in 0..1 as one percentage, or as `low–high%` where they print differently."""
    first, last = percent(low), percent(high)
    return first if first == last else f"{first.removesuffix('%')}–{last}"


def decimal(value: float, places: int = 2) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = fixed(value, places)
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def amount(value: float) -> str:
    """A number of things, 0 or more, with thousands set apart; one decimal below ten if it is not whole."""
    near = settled(value)
    return fixed(near, 1, ",") if near < 10 and near != int(near) else fixed(near, 0, ",")


def duration(seconds: float) -> str:
    """A time of 0 seconds or more, in seconds up to two minutes and in minutes and seconds after."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60:,} min {whole % 60:02d} s"


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
}
MITIGATIONS = {"rounding": "answers ", "query_cap": "no more than "}
"""What the setting of a mitigation lacks."""
VERDICTS = {"differs": "differs", "equivalent": "equivalent", "inconclusive": "open"}
MINUS = "−"
FEW_SEEDS, PLANNED = 4, 12
"""Target seeds below which their spread says too little of how many are needed, and how many to plan then."""
LEVEL = 0.05
SHOWN_LESS = (
    "v2 reduces a membrane to scores and spikes to counts before it uses them: these steps are 0 by the attack. A "
    "level that rises where less is shown means that the attack makes better use of the poorer view, not that showing "
    "less leaks more."
)
FAMILIES = (
    "Steps of the ladder and mitigations are separate families of Holm’s correction: the same change may be found in "
    "one and not in the other."
)


def view(attack: str, reveals: str) -> str:
    """An attack and what it sees: `v2, counts`; a ladder may go over several."""
    return f"{ATTACKS.get(attack, attack)}, {reveals}"


def mitigation(kind: str, setting: str) -> str:
    """What a mitigation does: `answers rounded to 0.1`."""
    return f"{MITIGATIONS.get(kind, '')}{setting}"


def points(difference: float, sign: bool = True) -> str:
    """A difference of fractions in points: `+1.5`, `−0.4`, `0.0`."""
    text = fixed(100 * difference, 1, "+") if sign else fixed(abs(100 * difference), 1)
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def margin_points(margin: float) -> str:
    """A margin, with a decimal only where it needs one: `10 points`."""
    return f"{points(margin, False).removesuffix('.0')} points"


def bounded(difference: float) -> float:
    """A difference of fractions, or an end of its interval: Student's, of few targets, goes beyond what can be."""
    return min(max(difference, -1.0), 1.0)


def ends(found: Estimate) -> str:
    """The interval of a difference of fractions in points, within what can be, or that there is none."""
    if found.low is None or found.high is None or found.seeds < 2:
        return "no interval of one target"
    return f"{points(bounded(found.low))}\u00a0to\u00a0{points(bounded(found.high))}"


def share(found: Estimate | None) -> str:
    """An estimate of a fraction, as a percentage."""
    return "–" if found is None else percent(found.value)


def share_ends(found: Estimate | None) -> str:
    """Its interval."""
    if found is None or found.low is None or found.high is None:
        return ""
    return percent_range(found.low, found.high)


def judged(found: Verdict) -> str:
    """The verdict in a word."""
    return "identical" if found.identical else VERDICTS[found.verdict]


def footing(found: Verdict) -> str:
    """What goes with the word of a verdict: what is needed where it is open, or that there is a small difference."""
    if found.verdict == "equivalent" and found.found and not found.identical:
        return "a small difference"
    if found.verdict != "inconclusive":
        return ""
    needed = seeds_needed(found).replace(" target", "")
    return f"plan {needed}" if found.difference.seeds < FEW_SEEDS else needed


def verdict_line(found: Verdict) -> str:
    """The verdict with its figures, on one line of a terminal: `equivalent: +1.5 points (−0.4 to +3.4)`."""
    interval = ends(found.difference).replace("\u00a0", " ")
    line = f"{judged(found)}: {points(found.difference.value)} points ({interval})"
    return f"{line}, {footing(found)}" if footing(found) else line


def effect(found: Verdict) -> str:
    """What the verdict on a mitigation, leakage without less with it, says of it."""
    if found.identical:
        return "removes nothing"
    if found.verdict == "differs":
        return "removes leakage" if found.difference.value > 0 else "adds leakage"
    return "open" if found.verdict == "inconclusive" else f"removes less than {margin_points(found.margin)}"


def effect_footing(found: Verdict) -> str:
    """What goes with the word of an effect."""
    if found.verdict == "equivalent" and found.found and not found.identical:
        return "a small effect" if found.difference.value > 0 else "a small effect: it adds leakage"
    return footing(found)


def against_chance(found: ControlFinding) -> str:
    """How a null control came out."""
    if found.above_chance is None:
        return "not judged"
    if found.above_chance:
        return "above chance"
    below = found.adjusted_p is not None and found.adjusted_p < LEVEL and found.estimate.value < found.chance
    return "below chance" if below else "not above chance"


def p_value(p: float) -> str:
    """`p 0.012`, `p < 0.001`."""
    return "p < 0.001" if settled(p) < 0.001 else f"p {fixed(p, 3)}"


def seen(difference: float) -> str:
    """The least difference or margin that a plan can see, in points: none where it is more than there can be."""
    return "none" if difference >= 1 else points(difference, False)


def whole_percent(fraction: float) -> str:
    """A place on an axis of fractions."""
    return f"{fixed(100 * fraction, 0)}%".replace("-", MINUS)


def seeds_needed(found: Verdict) -> str:
    """How many target seeds would give a verdict."""
    if found.difference.seeds < FEW_SEEDS:
        return f"{PLANNED} or more target seeds"
    if found.seeds_needed is None:
        return "more than 10,000 target seeds"
    return f"about {found.seeds_needed:,} target seeds"


def pair(first: Sequence[str], second: Sequence[str]) -> str:
    """What is compared: `loihi less snntorch and norse`."""
    return f"{listed(list(first))} less {listed(list(second))}"


def many(count: int, one: str, several: str | None = None) -> str:
    """`1 pair`, `3 pairs`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
