"""The budgets at which attacks are halfway, in words and lines of tables."""

from __future__ import annotations

from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.halfway_models import HalfwayComparison, HalfwayFinding
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.words import amount, ends, judged, listed, pair, percent, points, share, view

ABOUT = (
    "At its end, an attack may get nearly every class on every substrate, and a difference cannot show. So substrates "
    "are also compared at the budget at which attack accuracy is halfway from its floor to its final value. The floor "
    "is the highest of guessing, null controls and attackers who ask nothing (without the latter where they reach the "
    "final value). The budget is the first at which the mean over substrates, each arithmetic counted once, reaches "
    "the middle: one budget for all substrates, by a rule that favours none."
)
COLUMNS = ("attack", "evaluator", "halfway at, per class", "floor, middle, final", "reached", "difference in points")


def halfway_budget(finding: HalfwayFinding) -> str:
    """The budget per class in words."""
    if finding.queries is None:
        return "none: ends at or below its floor"
    unit = "runs" if finding.reveals == "gradient" else "queries"
    return f"{amount(finding.queries)} {unit}{', at its start' if finding.at_start else ''}"


def halfway_range(finding: HalfwayFinding) -> str:
    """Floor, middle and final attack accuracy: `60% → 80% → 99%`."""
    middle = [] if finding.queries is None else [(finding.floor + finding.final) / 2]
    return " → ".join(percent(value) for value in (finding.floor, *middle, finding.final))


def halfway_levels(finding: HalfwayFinding) -> str:
    """What each substrate reaches; substrates that reach the same share an entry."""
    same: dict[Mean, list[str]] = {}
    for level in finding.levels:
        same.setdefault(level.attack_accuracy, []).append(level.substrate)
    return "; ".join(f"{listed(names)} {share(mean)}" for mean, names in same.items())


def compared_hits(finding: HalfwayFinding) -> list[HalfwayComparison]:
    """The comparisons of attack accuracy."""
    return [comparison for comparison in finding.comparisons if comparison.measure == "hit"]


def halfway_rows(results: Findings) -> list[list[str]]:
    """A row for each attack, output and evaluator, for the summary and the command line."""
    return [
        [
            view(finding.attack, finding.reveals),
            finding.evaluator,
            halfway_budget(finding),
            halfway_range(finding),
            halfway_levels(finding),
            "; ".join(_compared(comparison) for comparison in compared_hits(finding)) or "–",
        ]
        for finding in results.halfway
    ]


def _compared(comparison: HalfwayComparison) -> str:
    difference = comparison.verdict.difference
    names = pair(comparison.first, comparison.second)
    return f"{names}: {points(difference.value)} ({ends(difference)}), {judged(comparison.verdict)}"
