"""Prints the comparisons of a plan and the differences that it can detect, for `bl-neuro audit --plan`."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.cli.output import print_table, say
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.families import families_digest
from bl_neuro.experiment.findings.margins import EvaluatorMargin
from bl_neuro.experiment.findings.measure_power import assumptions
from bl_neuro.experiment.findings.models import Unit
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.report.words import family_lines, margin_points, seen
from bl_neuro.rounding import fixed

FURTHER = {
    "membership": "The smallest differences in membership between deployments",
    "secrets": "The smallest differences in the recovered share of planted secrets between substrates",
}
VIEW = ["attack", "reveals", "evaluator"]
FIGURES = ["inversions", "smallest difference", "smallest margin", "power at margin", "variation"]


def print_families(families: Sequence[ComparisonFamily]) -> None:
    """Prints which comparisons are tested together, and the digest of the list."""
    if not families:
        return
    say(f"\nThe comparisons that are tested together, declared before the run (digest {families_digest(families)})")
    for line in family_lines(families):
        say(f"  {line}")


def print_further_power(powers: Sequence[MeasurePower]) -> None:
    """Prints a table for membership and one for planted secrets, if the plan has them."""
    for question, title in FURTHER.items():
        rows = [_further_row(one) for one in powers if one.question == question]
        if rows:
            columns = ["view", "measure", "targets", "comparisons", "smallest difference", "in bits", "margin"]
            columns += ["smallest margin", "power at margin", "variation"]
            print_table(f"\n{title} that this plan detects with a power of 80%", columns, rows, 2)
    for text in assumptions(powers):
        say(f"assumed: too few cells are finished, so {text}")


def _further_row(power: MeasurePower) -> list[str]:
    return [
        power.view,
        power.measure,
        str(power.units),
        str(power.comparisons),
        fixed(power.smallest_difference, 4),
        "-" if power.smallest_bits is None else fixed(power.smallest_bits, 2),
        fixed(power.margin, 4),
        fixed(power.smallest_margin, 4),
        f"{fixed(100 * power.equivalence_power, 0)} %",
        "assumed" if power.assumed else "finished cells",
    ]


def print_power(power: Sequence[PowerFinding], margins: Sequence[EvaluatorMargin], unit: Unit = "target seed") -> None:
    """Prints a table for attack accuracy, or one line if no difference can be tested.

    margins: of the evaluators. unit: the independent unit, whose variation the tests are based on.
    """
    units = "restarts" if unit == "restart" else "seeds"
    accuracy = [view for view in power if view.measure == "hit"]
    rows = [_row(view) for view in accuracy]
    if not rows:
        one = "one restart of the attacks" if unit == "restart" else "one target"
        say(f"\nWith {one}, or substrates of one arithmetic, no difference between substrates can be tested.")
        return
    print_table(
        "\nThe smallest differences in attack accuracy between substrates that this plan detects with a power of 80%, "
        f"in percentage points, over {unit}s",
        [*VIEW, units, *FIGURES],
        rows,
        3,
    )
    say(
        "smallest margin: the smallest margin within which two substrates without any difference are found equivalent\n"
        "power at margin: the probability that they are found equivalent within the margin of the evaluator"
    )
    for stated in margins:
        size = "no margin" if stated.margin is None else margin_points(stated.margin)
        say(f"margin under {stated.evaluator}, by what is finished: {size}, {stated.reason}")
    if any("none" in row[5:7] for row in rows):
        say(
            "none: this plan cannot detect even the largest possible difference, or cannot show equivalence; use more "
            f"{units}"
        )
    assumed = next((view for view in accuracy if view.assumed), None)
    if assumed is not None:
        spread, within = fixed(assumed.spread, 2), fixed(assumed.within, 2)
        spreads = f"standard deviations of {spread} (between {units}) and {within} (between inversions)"
        say(f"assumed: too few cells are finished to estimate the variation, so {spreads} are assumed")


def _row(view: PowerFinding) -> list[str]:
    return [
        view.attack,
        view.reveals,
        view.evaluator,
        str(view.seeds),
        str(view.inversions),
        seen(view.smallest_difference),
        seen(view.smallest_margin),
        "-" if view.margin is None else f"{fixed(100 * view.equivalence_power, 0)} %",
        "assumed" if view.assumed else "finished cells",
    ]
