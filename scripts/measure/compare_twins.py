"""Do spiking networks give away less about members than ANN twins of the same layers, and at which accuracies?

    python scripts/measure/compare_twins.py [--results results] [--out results/membership-twins.md]

Reads the results of membership audits with `twins = true` and writes one table: each attack through scores and labels,
on spiking networks in floating point and on their twins, with the accuracy of both on samples that were not trained on.
Rows are at equal accuracy where the mean accuracies differ by at most `EQUAL`. Differences are paired over networks and
samples, for the attack that the audit compares deployments by.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bl_neuro.files import write_text
from bl_neuro.rounding import fixed

AUDITS = {"digits": "membership-digits", "MNIST": "membership-mnist"}
SPIKING, TWIN, TWIN_NAME = "snntorch", "ann", "ANN twins"
EQUAL = 0.005
"""Largest difference of accuracies that count as equal, half a percentage point."""
PAIRS = ("AUC", "found at 1%", "accuracy")
COLUMNS = (
    *("data", "networks", "attack", "output"),
    *(f"{measure}: {network}" for measure in PAIRS for network in ("SNN", "ANN twin")),
    *("equal accuracy", "AUC: twin less SNN, paired"),
)


def rows_of(name: str, membership: dict[str, Any]) -> list[list[str]]:
    """The rows of one audit: every attack whose shadow networks are trained like the targets, asked plainly."""
    table = {
        (row["substrate"], row["attack"], row["reveals"]): row
        for row in membership["rows"]
        if row["ask"] == "plain" and row["shadows"] == "right" and row["mitigation"] is None
    }
    paired = {
        (row["attack"], row["reveals"]): row["difference"]
        for row in membership["comparisons"]
        if row["measure"] == "auc" and row["first"] == SPIKING and row["second"] == TWIN_NAME
    }
    return [
        _row(name, table[SPIKING, attack, reveals], twin, paired.get((attack, reveals)))
        for (substrate, attack, reveals), twin in table.items()
        if substrate == TWIN
    ]


def _row(name: str, spiking: dict[str, Any], twin: dict[str, Any], difference: dict[str, float] | None) -> list[str]:
    both = (spiking, twin)
    right = [row["others_right"] for row in both]
    return [
        name,
        str(twin["targets"]),
        twin["attack"],
        twin["reveals"],
        *(_interval(row["auc"], 1, 3) for row in both),
        *(_interval(row["tpr_at_1"], 100, 1, "%") for row in both),
        *(f"{fixed(100 * share, 1)}%" for share in right),
        "yes" if abs(right[0] - right[1]) <= EQUAL else "no",
        "-" if difference is None else _interval(difference, 1, 3),
    ]


def _interval(value: dict[str, float], factor: int, digits: int, unit: str = "") -> str:
    middle, low, high = (fixed(factor * value[key], digits) for key in ("value", "low", "high"))
    return f"{middle}{unit} [{low}, {high}]"


def page(folder: Path) -> str:
    """The page, from the results of the audits in `folder`."""
    lines = [
        "# Membership inference on spiking networks and their ANN twins",
        "",
        "Twins have the same layer sizes and are trained on the same samples, each by its default plan. 95% intervals.",
        f"Accuracies are on samples that were not trained on, equal if they differ by at most {100 * EQUAL:g} points.",
        "Written by `scripts/measure/compare_twins.py`.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for name, audit in AUDITS.items():
        document = json.loads((folder / audit / "results.json").read_text(encoding="utf-8"))
        lines += [f"| {' | '.join(row)} |" for row in rows_of(name, document["membership"])]
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("results/membership-twins.md"))
    given = parser.parse_args()
    write_text(given.out, page(given.results))


if __name__ == "__main__":
    main()
