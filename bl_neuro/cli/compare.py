"""`bl-neuro compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Force, Json, app


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
    from bl_neuro.cli.output import print_json, print_parts, say

    comparison = run(runs, margin, page, force=force)
    if as_json:
        written = {} if page is None else {"page": str(page)}
        print_json({**comparison.model_dump(mode="json", by_alias=True), **written})
        return
    print_parts(comparison.text_parts())
    if page is not None:
        say(f"\n{page}")
