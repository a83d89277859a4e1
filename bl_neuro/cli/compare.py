"""`bl-neuro compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bl_neuro.cli.options import Force, Json, app

if TYPE_CHECKING:
    from bl_neuro.experiment.comparison import AuditComparison, RowComparison
    from bl_neuro.experiment.findings.models import Unit


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Result folders of two or more audits.", show_default=False)],
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin", help="Largest difference that counts as equivalent, in 0..1. Default: as in the audits."
        ),
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="HTML file for the comparison.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare audits of different substrates, settings or versions, with paired tests where possible."""
    from bl_neuro.api.compare import compare as run
    from bl_neuro.cli.output import print_json, say

    comparison = run(runs, margin, page, force=force)
    if as_json:
        written = {} if page is None else {"page": str(page)}
        print_json({**comparison.model_dump(mode="json", by_alias=True), **written})
        return
    _print(comparison)
    if page is not None:
        say(f"\n{page}")


def _print(comparison: AuditComparison) -> None:
    from bl_neuro.cli.output import print_table, say
    from bl_neuro.report.comparison_page import comparison_answer, interval_units
    from bl_neuro.report.words import share, share_ends, verdict_line, view

    runs = [run.name for run in comparison.runs]
    rows = [
        [
            row.target, row.substrate, row.attack, row.reveals, row.evaluator,
            *("-" if mean is None else f"{share(mean)} ({share_ends(mean)})" for mean in row.estimates),
        ]
        for row in comparison.rows
    ]  # fmt: skip
    columns = ["target", "substrate", "attack", "reveals", "evaluator", *runs]
    title = f"Attack accuracy and 95% intervals over the {interval_units(comparison)} of each run"
    print_table(title, columns, rows, 5)
    say(f"\n{comparison_answer(comparison)}")
    hits = [pair for pair in comparison.comparisons if pair.measure == "hit"]
    for pair in hits:
        if pair.verdict is not None:
            unit: Unit = "restart" if pair.target == "given" else "target seed"
            outcome = verdict_line(pair.verdict, unit)
        else:
            outcome = f"not paired: {pair.why}"
        say(f"  {view(pair.attack, pair.reveals)}, {pair.evaluator}: {_sides(pair)}: {outcome}")
    if comparison.settings:
        settings = [
            [setting.name, *("-" if value is None else value for value in setting.values)]
            for setting in comparison.settings
        ]
        print_table("\nWhat differs between the runs", ["setting", *runs], settings, 1, 1)


def _sides(pair: RowComparison) -> str:
    one, other = (f"{side.run} on {side.substrate}" for side in (pair.first, pair.second))
    return f"{one} less {other}"
