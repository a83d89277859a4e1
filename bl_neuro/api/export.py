"""Converts a model to another format and measures the error of rounding to Loihi's integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.deploy.loihi_limits import state_bound
from bl_neuro.deploy.net_form import quantized_net_form
from bl_neuro.deploy.quantize import THRESHOLD_LIMIT, FixedPointLayer
from bl_neuro.errors import ModelFileError
from bl_neuro.files import expanded, need_free
from bl_neuro.model_file import SUFFIXES, load, save
from bl_neuro.network import Network
from bl_neuro.text_tables import Printed, TextTable


@dataclass(frozen=True)
class RoundingCost:
    """The error of rounding one layer to Loihi's integers. Bounds of states are None if there is no bound."""

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


@dataclass(frozen=True, repr=False)
class Exported(Printed):
    """A written file. fingerprint: of its network. layers: rounding errors, empty unless it is a .net file."""

    file: Path
    fingerprint: str
    layers: list[RoundingCost]

    def text_parts(self) -> list[str | TextTable]:
        """The rounding errors of the layers, and the file."""
        written = f"Written: {self.file}"
        if not self.layers:
            return ["Nothing is rounded.", written]
        columns = ["layer", "", "threshold", "weight error (RMS)", "largest decay error", "bias error (of threshold)"]
        rows = [_row(cost) for cost in self.layers]
        table = TextTable("The errors of rounding to Loihi's integers", [*columns, "24 bits"], rows, 2)
        beyond = [str(cost.layer) for cost in self.layers if not cost.slayer_holds]
        if not beyond:
            return [table, written]
        limit = f"SLAYER cannot hold it: the threshold of layer {', '.join(beyond)} is above {THRESHOLD_LIMIT}"
        return [table, limit, written]


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


def export(model: Network | str | Path, out: str | Path, *, force: bool = False) -> Exported:
    """Writes a model as a Lava .net file (rounded to Loihi's integers), .nir or .safetensors.

    Raises:
        InputError: `out` exists, and force is False. ReportError: `out` is not a regular file. ModelFileError: the
            model cannot be read, or `out` has an unknown suffix. Unsupported: the format cannot represent the network.
    """
    path = expanded(out)
    if path.suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: expected a name ending in .net, .nir or .safetensors, found '{path.suffix}'")
    need_free([path], force)
    network = model if isinstance(model, Network) else load(model)
    layers: list[RoundingCost] = []
    if path.suffix == ".net":
        layers = [_cost(layer) for layer in quantized_net_form(network).layers]
    save(network, path)
    return Exported(path, load(path).fingerprint, layers)


def _cost(layer: FixedPointLayer) -> RoundingCost:
    bound = state_bound(layer)
    return RoundingCost(
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
