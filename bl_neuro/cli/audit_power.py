"""Prints the differences that a plan can detect, for `bl-neuro audit --plan`."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.cli.output import print_table, say
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.report.words import seen
from bl_neuro.rounding import fixed

COLUMNS = ["attack", "reveals", "judge", "seeds", "inversions", "difference", "equality", "at the margin", "from"]


def print_power(power: Sequence[PowerFinding], margin: float) -> None:
    """Prints a table for attack accuracy, or one line if there is only one target, which shows no variation."""
    accuracy = [view for view in power if view.measure == "hit"]
    rows = [_row(view) for view in accuracy]
    if not rows:
        say("\nOne target, or one kind of substrate: no difference between substrates can be tested.")
        return
    print_table("\nAttack accuracy between substrates: what is found with a power of 80 %, in points", COLUMNS, rows, 3)
    say(f"at the margin: the chance that substrates which do not differ are found equal within {100 * margin:g} points")
    if any("none" in row[5:7] for row in rows):
        say("none: this plan can find no difference of any size, or no equality within any margin; plan more seeds")
    assumed = next((view for view in accuracy if view.assumed), None)
    if assumed is not None:
        spread, within = fixed(assumed.spread, 2), fixed(assumed.within, 2)
        spreads = f"a standard deviation of {spread} from seed to seed, of {within} from inversion to inversion"
        say(f"assumed: too little is done to show how differences vary, so {spreads} is assumed")


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
