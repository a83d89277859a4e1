"""Words for what an audit found: views, pairs, changes in points."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.report.audit_findings import Estimate, Verdict
from bl_neuro.report.words import ATTACKS, listed, percent, percent_range

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


def view(attack: str, reveals: str) -> str:
    """An attack and what it sees: `v2, counts`; a ladder may go over several."""
    return f"{ATTACKS.get(attack, attack)}, {reveals}"


def mitigation(kind: str, setting: str) -> str:
    """What a mitigation does: `answers rounded to 0.1`."""
    return f"{MITIGATIONS.get(kind, '')}{setting}"


def points(difference: float, sign: bool = True) -> str:
    """A difference of fractions in points: `+1.5`, `−0.4`, `0.0`."""
    text = f"{100 * difference:+.1f}" if sign else f"{abs(100 * difference):.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def ends(found: Estimate) -> str:
    """The interval of a difference in points, or that there is none."""
    if found.low is None or found.high is None or found.seeds < 2:
        return "no interval of one target"
    return f"{points(found.low)}\u00a0to\u00a0{points(found.high)}"


def share(found: Estimate | None) -> str:
    """An estimate of a fraction, as a percentage."""
    return "–" if found is None else percent(round(found.value, 9))


def share_ends(found: Estimate | None) -> str:
    """Its interval."""
    if found is None or found.low is None or found.high is None:
        return ""
    return percent_range(*(round(end, 9) for end in (found.low, found.high)))  # sums of floats end just below 1


def judged(found: Verdict) -> str:
    """The verdict in a word."""
    return "identical" if found.identical else VERDICTS[found.verdict]


def footing(found: Verdict) -> str:
    """What goes with the word of a verdict: what is needed where it is open, or that there is a small difference."""
    if found.verdict == "equivalent" and found.found and not found.identical:
        return "a small difference"
    return seeds_needed(found).replace(" target", "") if found.verdict == "inconclusive" else ""


def effect(found: Verdict) -> str:
    """What the verdict on a mitigation, leakage without less with it, says of it."""
    if found.verdict == "differs":
        return "removes leakage" if found.difference.value > 0 else "adds leakage"
    return "open" if found.verdict == "inconclusive" else "little or no effect"


def seen(difference: float) -> str:
    """The least difference or margin that a plan can see, in points: none where it is more than there can be."""
    return "none" if difference >= 1 else points(difference, False)


def whole_percent(fraction: float) -> str:
    """A place on an axis of fractions."""
    return f"{100 * fraction:.0f}%".replace("-", MINUS)


def seeds_needed(found: Verdict) -> str:
    """How many target seeds would give a verdict."""
    if found.seeds_needed is None:
        return "more than 10,000 target seeds"
    return f"about {found.seeds_needed:,} target seeds"


def pair(first: Sequence[str], second: Sequence[str]) -> str:
    """What is compared: `loihi less snntorch and norse`."""
    return f"{listed(list(first))} less {listed(list(second))}"


def many(count: int, one: str, several: str | None = None) -> str:
    """`1 pair`, `3 pairs`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
