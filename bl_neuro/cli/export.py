"""`bl-neuro export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bl_neuro.cli.options import Convention, Dt, Force, InputShape, Json, Layers, Model, Reset, app, model_request

if TYPE_CHECKING:
    from bl_neuro.api.export import Exported, RoundingCost


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
    from bl_neuro.cli.output import print_json

    exported = run(model_request(model, layers, input_shape, convention, dt, reset).open(), out, force=force)
    if as_json:
        print_json({**asdict(exported), "file": str(exported.file)})
    else:
        _print(exported)


def _print(exported: Exported) -> None:
    from bl_neuro.cli.output import print_table, say
    from bl_neuro.deploy.quantize import THRESHOLD_LIMIT

    if exported.layers:
        columns = ["layer", "", "threshold", "weight error (RMS)", "largest decay error", "bias error (of threshold)"]
        rows = [_row(cost) for cost in exported.layers]
        print_table("What rounding to Loihi's integers cost", [*columns, "24 bits"], rows, numbers_from=2)
        beyond = [str(cost.layer) for cost in exported.layers if not cost.slayer_holds]
        if beyond:
            say(f"SLAYER cannot hold it: the threshold of layer {', '.join(beyond)} is above {THRESHOLD_LIMIT}")
    else:
        say("Nothing is rounded.")
    say(f"Written: {exported.file}")


def _row(cost: RoundingCost) -> list[str]:
    return [
        str(cost.layer),
        cost.kind,
        str(cost.threshold_mantissa),
        f"{100 * cost.weight_rms_error:.2f} %",
        f"{cost.largest_decay_error:.1e}",
        f"{100 * cost.bias_rms_error:.2f} %",
        "within" if cost.fits_24_bits else "not bounded",
    ]
