"""Prints the differences that a plan can detect, for `bl-neuro audit --plan`."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.cli.output import print_table, say
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.models import Unit
from bl_neuro.report.words import seen
from bl_neuro.rounding import fixed

VIEW = ["attack", "reveals", "evaluator"]
FIGURES = ["inversions", "smallest difference", "smallest margin", "power at margin", "variation"]


def print_power(power: Sequence[PowerFinding], margin: float, unit: Unit = "target seed") -> None:
    """Prints a table for attack accuracy, or one line if no difference can be tested.

    unit: the independent unit, whose variation the tests are based on.
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
        f"power at margin: the probability that they are found equivalent within {100 * margin:g} points"
    )
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
        f"{fixed(100 * view.equivalence_power, 0)} %",
        "assumed" if view.assumed else "finished cells",
    ]
