"""What a plan can find, as `bl-neuro audit` tells it."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.cli.output import print_table, say
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.report.words import seen
from bl_neuro.rounding import fixed

COLUMNS = ["attack", "reveals", "judge", "seeds", "inversions", "difference", "equality", "at the margin", "from"]


def tell_power(findings: Sequence[PowerFinding], margin: float) -> None:
    """A table for attack accuracy; nothing where an audit has one target, which shows no spread."""
    hits = [finding for finding in findings if finding.measure == "hit"]
    rows = [_row(finding) for finding in hits]
    if not rows:
        say("\nOne target, or one kind of substrate: no difference between substrates can be tested.")
        return
    print_table("\nAttack accuracy between substrates: what is found with a power of 80 %, in points", COLUMNS, rows, 3)
    say(f"at the margin: the chance that substrates which do not differ are found equal within {100 * margin:g} points")
    if any("none" in row[5:7] for row in rows):
        say("none: this plan cannot find any difference that can be, or equality within any margin; plan more seeds")
    assumed = next((finding for finding in hits if finding.assumed), None)
    if assumed is not None:
        spreads = f"sd of {fixed(assumed.spread, 2)} from seed to seed, of {fixed(assumed.within, 2)} from inversion"
        say(f"assumed: nothing is done yet that shows how differences vary; taken are {spreads} to inversion")


def _row(finding: PowerFinding) -> list[str]:
    return [
        finding.attack,
        finding.reveals,
        finding.evaluator,
        str(finding.seeds),
        str(finding.inversions),
        seen(finding.smallest_difference),
        seen(finding.smallest_margin),
        f"{fixed(100 * finding.equivalence_power, 0)} %",
        "assumed" if finding.assumed else "what is done",
    ]
