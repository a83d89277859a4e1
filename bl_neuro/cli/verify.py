"""`bl-neuro verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import (
    Convention,
    Dt,
    Force,
    InputShape,
    Json,
    Layers,
    ListingCommand,
    Model,
    Reset,
    Seed,
    app,
    model_request,
    words,
)

FAILED = 1


@app.command(cls=ListingCommand)
def verify(
    model: Model,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends",
            help="Substrates to compare, comma-separated: {substrates}. Default: all that can run the network.",
        ),
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--input", help="Additional inputs: an .npy or .npz file of shape (T, B, ...).")
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help="Number of time steps. Default: that of --input, or 20 plus the delays of the network.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Number of samples of each kind of input.")] = 4,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            help="aligned (each layer starts when its first input arrives) or cold (as in a fresh Lava run).",
        ),
    ] = "aligned",
    all_pairs: Annotated[
        bool,
        typer.Option("--all-pairs", help="Compare every pair of substrates instead of each with the reference."),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for raster plots of the differences.")] = None,
    force: Force = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Compare the spikes of a model on all substrates, layer by layer.

    The exit code is 1 if substrates that promise identical spikes differ.
    """
    from bl_neuro.api.verify import verify as run
    from bl_neuro.cli.output import print_json, print_parts
    from bl_neuro.deploy.parity.drawing import draw, need_folder_for_pictures

    network = model_request(model, layers, input_shape, convention, dt, reset).open()
    if out is not None:
        need_folder_for_pictures(out, force)
    report = run(
        network,
        _names(backends),
        inputs,
        steps=steps,
        batch=batch,
        start=start,  # type: ignore[arg-type]  # verify checks it
        all_pairs=all_pairs,
        seed=seed,
    )
    pictures = [] if out is None else draw(report, out)
    if as_json:
        print_json({"model": str(model), **report.to_json(), "pictures": [str(path) for path in pictures]})
    else:
        *parts, verdict = report.text_parts()
        print_parts([*parts, *(f"Written: {path}" for path in pictures), verdict])
    return FAILED if report.broken else 0


def _names(text: str | None) -> list[str] | None:
    from bl_neuro.errors import InputError

    if text is None:
        return None
    if not words(text):
        raise InputError(f"--backends: expected comma-separated names of substrates, found {text!r}")
    return words(text)
