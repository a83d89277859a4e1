"""Describes a model: its layers, its integers on Loihi, and the substrates that can run it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.backends import available_substrates, find_backend, not_installed
from bl_neuro.deploy.loihi_limits import STATE_LIMIT, state_bound
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, quantization_problems, quantize
from bl_neuro.errors import PluginError
from bl_neuro.layers import SPIKING, Conv, Dense, Input, Layer
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.model_file import load
from bl_neuro.network import EXTRAS, Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.phrases import many
from bl_neuro.sigma_delta import SIGMA_DELTA
from bl_neuro.silent_layers import STEPS, silent_layers
from bl_neuro.text_tables import Printed, TextTable

Range = list[float]
"""Minimum and maximum."""
BEYOND = "*"
"""Marks a bound that does not fit in 24 bits."""


@dataclass(frozen=True)
class LoihiLayer:
    """The integers of a layer on Loihi and their distance from its limits.

    weight_exact: whether Loihi's 8-bit encoding preserves every weight. Bounds of states are None if there is no bound.
    fits_24_bits: whether states always fit in the 24 bits of Loihi. Sigma-delta neurons have no decays (None).
    """

    layer: int
    weight: list[int]
    weight_exact: bool
    current_decay: list[int] | None
    voltage_decay: list[int] | None
    threshold: int
    bias: list[int]
    current_bound: float | None
    voltage_bound: float | None
    fits_24_bits: bool


@dataclass(frozen=True)
class LoihiFacts:
    """The layers on Loihi, or the reasons why Loihi cannot run the network."""

    problems: list[str]
    layers: list[LoihiLayer]


@dataclass(frozen=True)
class Holder:
    """Whether a substrate can run the network and is installed, and all reasons why it cannot run it.

    A framework counts as installed if Python finds it; `doctor` checks whether it also works.
    """

    holds: bool
    installed: bool
    problems: list[str]


@dataclass(frozen=True, repr=False)
class ModelFacts(Printed):
    """A summary of a network.

    layers: kind, shape and value ranges of each layer. silent_layers: indices of layers of which no neuron can spike;
    see `bl_neuro.silent_layers`. substrates: by name, whether each of them can run the network.
    """

    fingerprint: str
    arithmetic: str
    input_kind: str
    input_shape: list[int]
    output_shape: list[int]
    readout: str
    parameters: int
    neurons: int
    bytes: int
    layers: list[dict[str, Any]]
    silent_layers: list[int]
    loihi: LoihiFacts
    substrates: dict[str, Holder]

    def text_parts(self) -> list[str | TextTable]:
        """The sizes, and tables of the layers, of their integers on Loihi, and of the substrates."""
        shape = " x ".join(map(str, self.input_shape))
        columns = ["layer", "", "shape", "weights", "threshold", "current decay", "voltage decay", "bias", "reset"]
        counts = f"{many(self.parameters, 'weight')}, {many(self.neurons, 'neuron')}"
        substrates = [_holder_row(name, holder) for name, holder in self.substrates.items()]
        return [
            f"arithmetic {self.arithmetic}, takes {self.input_kind} {shape}, readout {self.readout}",
            f"{counts}, {self.bytes / 2**20:.1f} MiB",
            f"fingerprint {self.fingerprint}",
            TextTable("\nLayers", columns, [_layer_row(layer) for layer in self.layers], 2),
            *(f"Layer {index}: no neuron can spike within {STEPS} time steps." for index in self.silent_layers),
            *(_loihi_parts(self.loihi.layers) if self.loihi.layers else []),
            TextTable(
                "\nSubstrates that can hold it", ["substrate", "", "what stands in the way"], substrates, numbers_from=3
            ),
        ]


def _holder_row(name: str, holder: Holder) -> list[str]:
    state = ("yes" if holder.installed else "yes, not installed") if holder.holds else "no"
    return [name, state, "\n".join(holder.problems)]


def _loihi_parts(layers: list[LoihiLayer]) -> list[str | TextTable]:
    if all(layer.current_decay is None for layer in layers):
        return [_sigma_delta_table(layers)]
    title = (
        f"\nIntegers on Loihi: decays are fractions of {DECAY_ONE}, thresholds are at most {THRESHOLD_MAX - 1}, and "
        f"states lie within -{STATE_LIMIT - 1}..{STATE_LIMIT - 1}"
    )
    columns = ["layer", "weights", "exact in 8 bits", "iDecay", "vDecay", "vThMant", "bias", "|u| up to", "|v| up to"]
    rows = [
        [
            str(layer.layer),
            _ends(layer.weight),
            "yes" if layer.weight_exact else "no",
            "" if layer.current_decay is None else _ends(layer.current_decay),
            "" if layer.voltage_decay is None else _ends(layer.voltage_decay),
            str(layer.threshold),
            _ends(layer.bias),
            _bound(layer.current_bound),
            _bound(layer.voltage_bound),
        ]
        for layer in layers
    ]
    parts: list[str | TextTable] = [TextTable(title, columns, rows)]
    if any(BEYOND in cell for row in rows for cell in row):
        parts.append(f"{BEYOND} beyond 24 bits: Loihi wraps the current and clips the voltage there")
    return parts


def _sigma_delta_table(layers: list[LoihiLayer]) -> TextTable:
    rows = [
        [
            str(layer.layer),
            _ends(layer.weight),
            "yes" if layer.weight_exact else "no",
            str(layer.threshold),
            _ends(layer.bias),
        ]
        for layer in layers
    ]
    title = "\nIntegers on Loihi: sigma-delta neurons, whose states hold 32 bits in Lava"
    return TextTable(title, ["layer", "weights", "exact in 8 bits", "vThMant", "bias"], rows)


def _bound(value: float | None) -> str:
    if value is None:
        return "not bounded"
    return f"{value:.0f}" if value < STATE_LIMIT else f"{value:.0f}{BEYOND}"


def _layer_row(layer: dict[str, Any]) -> list[str]:
    shape = " x ".join(map(str, layer["shape"]))
    if "weight" not in layer:
        return [str(layer["layer"]), layer["kind"], shape, *[""] * 6]
    values = [_ends(layer[name]) if name in layer else "" for name in ("weight", *CubaLIF().parameters())]
    return [str(layer["layer"]), layer["kind"], shape, *values, layer["reset"]]


def _ends(ends: list[float] | list[int]) -> str:
    least, greatest = (f"{end:.4g}" if isinstance(end, float) else str(end) for end in ends)
    return least if least == greatest else f"{least}..{greatest}"


def inspect(model: Network | str | Path) -> ModelFacts:
    """Describes the layers of a model, their value ranges, Loihi's limits, and which substrates can run it.

    Raises:
        ModelFileError: the file cannot be read.
    """
    network = model if isinstance(model, Network) else load(model)
    problems = quantization_problems(network)
    neurons = sum(
        math.prod(shape) for shape, layer in zip(network.shapes, network.layers) if isinstance(layer, SPIKING)
    )
    return ModelFacts(
        fingerprint=network.fingerprint,
        arithmetic=network.arithmetic,
        input_kind=network.input_kind,
        input_shape=list(network.input_shape),
        output_shape=list(network.output_shape),
        readout=network.readout,
        parameters=network.parameters,
        neurons=neurons,
        bytes=sum(array.nbytes for array in network.arrays().values()),
        layers=[
            _layer_facts(number, layer, shape)
            for number, (layer, shape) in enumerate(zip(network.layers, network.shapes))
        ],
        silent_layers=silent_layers(network),
        loihi=LoihiFacts(problems, [] if problems else [_on_loihi(layer) for layer in quantize(network).layers]),
        substrates={name: _holder(network, name) for name in available_substrates()},
    )


def _layer_facts(index: int, layer: Layer, shape: tuple[int, ...]) -> dict[str, Any]:
    """Kind, shape and value ranges [minimum, maximum] of a layer."""
    facts: dict[str, Any] = {"layer": index, "kind": str(layer), "shape": list(shape)}
    if not isinstance(layer, SPIKING):
        return facts
    neuron = layer.neuron
    facts |= {"neurons": math.prod(shape), "weight": _range(layer.weight)}
    if isinstance(neuron, SIGMA_DELTA):
        facts |= {"reset": "", "neuron": neuron.kind, "kind": f"{layer}, {type(neuron).__name__}"}
    else:
        facts["reset"] = neuron.reset
    if isinstance(layer, (Dense, Conv)):
        facts |= {"weights": layer.weight.size, "weights_not_zero": int(np.count_nonzero(layer.weight))}
    for name, values in layer.neuron.parameters().items():
        facts[name] = _range(values)
    if isinstance(layer, Input):
        facts["input_bias"] = _range(layer.bias)
    for name in EXTRAS:
        if getattr(layer, name, None) is not None:
            facts[name] = _range(getattr(layer, name))
    return facts


def _range(values: Any) -> Range:
    return [float(values.min()), float(values.max())]


def _whole_range(values: Any) -> list[int]:
    return [int(values.min()), int(values.max())]


def _on_loihi(layer: FixedPointLayer) -> LoihiLayer:
    bound = state_bound(layer)
    is_sigma_delta = isinstance(layer.source.neuron, SIGMA_DELTA)
    return LoihiLayer(
        layer=layer.index,
        weight=_whole_range(layer.weight),
        weight_exact=not isinstance(layer.source, Dense) or survives_encoding(layer.weight),
        current_decay=None if is_sigma_delta else _whole_range(layer.current_decay),
        voltage_decay=None if is_sigma_delta else _whole_range(layer.voltage_decay),
        threshold=layer.threshold,
        bias=[0, 0] if layer.bias is None else _whole_range(layer.bias),
        current_bound=bound.current if math.isfinite(bound.current) else None,
        voltage_bound=bound.voltage if math.isfinite(bound.voltage) else None,
        fits_24_bits=bound.fits,
    )


def _holder(network: Network, name: str) -> Holder:
    try:
        backend = find_backend(name)
    except PluginError as error:
        return Holder(False, False, [str(error)])
    missing = not_installed(backend)
    problems = backend.problems(network)
    return Holder(not problems, missing is None, problems + ([missing] if missing else []))
