"""`bl-neuro demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Jobs, Json, app


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and results.")] = Path("runs/demo"),
    jobs: Jobs = 1,
    as_json: Json = False,
) -> int:
    """Train a network on digits, run it on every substrate, attack it, and write a report. Needs no download."""
    from bl_neuro.cli.audit import audit

    return audit("demo", out=out, jobs=jobs, as_json=as_json)
