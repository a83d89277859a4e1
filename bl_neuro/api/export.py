"""Converts a model to another format and measures the error of rounding to Loihi's integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.deploy.loihi_limits import state_bound
from bl_neuro.deploy.quantize import THRESHOLD_LIMIT, FixedPointLayer, quantize
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.files import expanded
from bl_neuro.model_file import SUFFIXES, load, save
from bl_neuro.network import Network


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


@dataclass(frozen=True)
class Exported:
    """A written file. fingerprint: of its network. layers: rounding errors, empty unless it is a .net file."""

    file: Path
    fingerprint: str
    layers: list[RoundingCost]


def export(model: Network | str | Path, out: str | Path, *, overwrite: bool = False) -> Exported:
    """Writes a model as a Lava .net file (rounded to Loihi's integers), .nir or .safetensors.

    Raises:
        InputError: `out` exists, and overwrite is False. ModelFileError: the model cannot be read, or `out` has an
            unknown suffix. Unsupported: the format cannot represent the network.
    """
    path = expanded(out)
    if path.suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: expected a name ending in .net, .nir or .safetensors, found '{path.suffix}'")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: already exists; choose another name, or overwrite it with --force (overwrite=True)")
    network = model if isinstance(model, Network) else load(model)
    layers = [_cost(layer) for layer in quantize(network).layers] if path.suffix == ".net" else []
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
