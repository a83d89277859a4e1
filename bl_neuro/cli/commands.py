"""The commands `doctor`, `data status` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Json, Root, app


@app.command()
def doctor(as_json: Json = False) -> None:
    """Which substrates work here, shown by a run on each, and what packages add; exit code 1 where a part is broken."""
    from bl_neuro.cli.doctor import doctor as command

    raise typer.Exit(command(as_json))


data = typer.Typer(no_args_is_help=True, help="The datasets that targets are trained on.")
app.add_typer(data, name="data")


@data.command()
def status(
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Which datasets are here, how complete they are, and how to get the others."""
    from bl_neuro.cli.data import status as command

    command(root, as_json)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more audits.", show_default=False)],
    margin: Annotated[
        float | None, typer.Option("--margin", help="Difference that does not matter, 0..1; the runs' own by default.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="An HTML file to write the comparison to.")] = None,
    as_json: Json = False,
) -> None:
    """Hold audits of several substrates, settings or versions against each other, paired where they can be."""
    from bl_neuro.cli.compare import CompareRequest
    from bl_neuro.cli.compare import compare as command

    command(CompareRequest(runs, margin, page), as_json)
