"""`bl-neuro export`."""

from __future__ import annotations

from pathlib import Path

from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.deploy.net_file import write_net
from bl_neuro.deploy.quantize import quantize
from bl_neuro.errors import ModelFileError
from bl_neuro.model_file import load


def export(model: Path, out: Path, as_json: bool) -> None:
    """Writes the .net file and says what rounding cost, a line a layer."""
    if out.suffix != ".net":
        raise ModelFileError(f"{out}: expected a name ending in .net, found '{out.suffix}'")
    fixed = quantize(load(model))
    write_net(fixed, out)
    layers = [
        {
            "layer": layer.index,
            "kind": str(layer.source),
            "threshold_mantissa": layer.threshold,
            "weight_rms_error": layer.weight_loss,
            "largest_decay_error": layer.decay_loss,
        }
        for layer in fixed.layers
    ]
    if as_json:
        print_json({"file": str(out), "fingerprint": fixed.network.fingerprint, "layers": layers})
        return
    rows = [
        [
            str(layer.index),
            str(layer.source),
            str(layer.threshold),
            f"{100 * layer.weight_loss:.2f} %",
            f"{layer.decay_loss:.1e}",
        ]
        for layer in fixed.layers
    ]
    columns = ["layer", "", "threshold mantissa", "weight error (RMS)", "largest decay error"]
    print_table("What rounding to Loihi's integers cost", columns, rows, numbers_from=2)
    say(f"Written: {out}")
