"""`bl-neuro export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Convention, Dt, Force, InputShape, Json, Layers, Model, Reset, app, model_request


@app.command()
def export(
    model: Model,
    out: Annotated[Path, typer.Argument(help="File to write: .net, .nir or .safetensors.", show_default=False)],
    force: Force = False,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    as_json: Json = False,
) -> None:
    """Write a network as a Lava .net file (quantised to Loihi's integers), NIR or safetensors.

    For a .net file, also prints the rounding error of each layer.
    """
    from dataclasses import asdict

    from bl_neuro.api.export import export as run
    from bl_neuro.cli.output import print_json, print_parts

    exported = run(model_request(model, layers, input_shape, convention, dt, reset).open(), out, force=force)
    if as_json:
        print_json({**asdict(exported), "file": str(exported.file)})
    else:
        print_parts(exported.text_parts())
