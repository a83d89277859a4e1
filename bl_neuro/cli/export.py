"""`bl-neuro export`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from bl_neuro.cli.model import ModelRequest
from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.deploy.loihi_limits import state_bound
from bl_neuro.deploy.quantize import THRESHOLD_LIMIT, FixedPointLayer, quantize
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.model_file import load, save

KINDS = (".net", ".nir", ".safetensors")


def export(model: ModelRequest, out: Path, force: bool, as_json: bool) -> None:
    """Writes the network in the format of the name, and says what rounding cost, a line a layer."""
    if out.suffix not in KINDS:
        raise ModelFileError(f"{out}: expected a name ending in .net, .nir or .safetensors, found '{out.suffix}'")
    if out.exists() and not force:
        raise InputError(f"{out}: is there already; choose another name, or --force to write over it")
    network = model.open()
    layers = [_cost(layer) for layer in quantize(network).layers] if out.suffix == ".net" else []
    save(network, out)
    if as_json:
        print_json(
            {"file": str(out), "fingerprint": load(out).fingerprint, "layers": [asdict(cost) for cost in layers]}
        )
        return
    if layers:
        columns = [
            "layer",
            "",
            "threshold",
            "weight error (RMS)",
            "largest decay error",
            "bias error (of threshold)",
            "24 bits",
        ]
        print_table("What rounding to Loihi's integers cost", columns, [_row(cost) for cost in layers], numbers_from=2)
        beyond = [str(cost.layer) for cost in layers if not cost.slayer_holds]
        if beyond:
            say(f"SLAYER cannot hold it: the threshold of layer {', '.join(beyond)} is above {THRESHOLD_LIMIT}")
    else:
        say("Nothing is rounded.")
    say(f"Written: {out}")


@dataclass(frozen=True)
class _Cost:
    """What rounding cost one layer; bounds of states are None where nothing bounds them."""

    layer: int
    kind: str
    threshold_mantissa: int
    weight_scale: tuple[float, float]
    weight_rms_error: float
    largest_decay_error: float
    bias_rms_error: float
    current_bound: float | None
    voltage_bound: float | None
    fits_24_bits: bool
    slayer_holds: bool
    """Whether SLAYER, exact up to `THRESHOLD_LIMIT`, computes the same at this threshold."""


def _cost(layer: FixedPointLayer) -> _Cost:
    bound = state_bound(layer)
    return _Cost(
        layer=layer.index,
        kind=str(layer.source),
        threshold_mantissa=layer.threshold,
        weight_scale=(float(layer.row_scale.min()), float(layer.row_scale.max())),
        weight_rms_error=layer.weight_loss,
        largest_decay_error=layer.decay_loss,
        bias_rms_error=layer.bias_loss,
        current_bound=bound.current if math.isfinite(bound.current) else None,
        voltage_bound=bound.voltage if math.isfinite(bound.voltage) else None,
        fits_24_bits=bound.fits,
        slayer_holds=layer.threshold <= THRESHOLD_LIMIT,
    )


def _row(cost: _Cost) -> list[str]:
    return [
        str(cost.layer),
        cost.kind,
        str(cost.threshold_mantissa),
        f"{100 * cost.weight_rms_error:.2f} %",
        f"{cost.largest_decay_error:.1e}",
        f"{100 * cost.bias_rms_error:.2f} %",
        "within" if cost.fits_24_bits else "not bounded",
    ]
