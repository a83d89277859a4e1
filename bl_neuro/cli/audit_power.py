"""What a plan can find, as `bl-neuro audit` tells it."""

from __future__ import annotations

from typing import Any

from bl_neuro.cli.output import print_table, say
from bl_neuro.report.words import seen
from bl_neuro.rounding import fixed

COLUMNS = ["attack", "reveals", "judge", "seeds", "inversions", "difference", "equality", "at the margin", "from"]


def tell_power(found: list[dict[str, Any]], margin: float) -> None:
    """A table for attack accuracy; nothing where an audit has one target, which shows no spread."""
    rows = [_row(each) for each in found if each["measure"] == "hit"]
    if not rows:
        say("\nOne target, or one kind of substrate: no difference between substrates can be tested.")
        return
    print_table("\nAttack accuracy between substrates: what is found with a power of 80 %, in points", COLUMNS, rows, 3)
    say(f"at the margin: the chance that substrates which do not differ are found equal within {100 * margin:g} points")
    if any("none" in row[5:7] for row in rows):
        say("none: this plan cannot find any difference that can be, or equality within any margin; plan more seeds")
    if any(each["assumed"] for each in found if each["measure"] == "hit"):
        one = next(each for each in found if each["measure"] == "hit" and each["assumed"])
        spread, within = fixed(one["spread"], 2), fixed(one["within"], 2)
        spreads = f"sd of {spread} from seed to seed, of {within} from inversion to inversion"
        say(f"assumed: nothing is done yet that shows how differences vary; taken are {spreads}")


def _row(each: dict[str, Any]) -> list[str]:
    return [
        each["attack"],
        each["reveals"],
        each["evaluator"],
        str(each["seeds"]),
        str(each["inversions"]),
        seen(each["smallest_difference"]),
        seen(each["smallest_margin"]),
        f"{fixed(100 * each['equivalence_power'], 0)} %",
        "assumed" if each["assumed"] else "what is done",
    ]
