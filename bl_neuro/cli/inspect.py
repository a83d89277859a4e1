"""`bl-neuro inspect`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bl_neuro.backends import available_substrates, find_backend, missing_reason
from bl_neuro.cli.model import ModelRequest
from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.deploy.loihi_limits import STATE_LIMIT, state_bound
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, quantization_problems, quantize
from bl_neuro.errors import PluginError
from bl_neuro.layers import SPIKING, Conv, Dense, Input, Layer
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF

BEYOND = "*"
"""Marks a bound that 24 bits do not hold."""


def inspect(model: ModelRequest, as_json: bool) -> None:
    """Says what is in a model, what Loihi makes of it, and which substrates can hold it."""
    network = model.open()
    facts = {"file": str(model.path), **_network_facts(network)}
    if as_json:
        print_json(facts)
        return
    _say(facts)


def _network_facts(network: Network) -> dict[str, Any]:
    problems = quantization_problems(network)
    neurons = sum(
        math.prod(shape) for shape, layer in zip(network.shapes, network.layers) if isinstance(layer, SPIKING)
    )
    return {
        "fingerprint": network.fingerprint,
        "arithmetic": network.arithmetic,
        "input_kind": network.input_kind,
        "input_shape": list(network.input_shape),
        "output_shape": list(network.output_shape),
        "readout": network.readout,
        "parameters": network.parameters,
        "neurons": neurons,
        "bytes": sum(array.nbytes for array in network.arrays().values()),
        "layers": [_layer_facts(*row) for row in zip(range(len(network.layers)), network.layers, network.shapes)],
        "loihi": {
            "problems": problems,
            "layers": [] if problems else [_loihi_facts(layer) for layer in quantize(network).layers],
        },
        "substrates": {name: _holds(network, name) for name in available_substrates()},
    }


def _layer_facts(index: int, layer: Layer, shape: tuple[int, ...]) -> dict[str, Any]:
    """Kind, shape and ranges [least, largest] of a layer's values."""
    facts: dict[str, Any] = {"layer": index, "kind": str(layer), "shape": list(shape)}
    if not isinstance(layer, SPIKING):
        return facts
    facts |= {"neurons": math.prod(shape), "reset": layer.neuron.reset, "weight": _range(layer.weight)}
    if isinstance(layer, (Dense, Conv)):
        facts |= {"weights": layer.weight.size, "weights_not_zero": int(np.count_nonzero(layer.weight))}
    for name, values in layer.neuron.parameters().items():
        facts[name] = _range(values)
    if isinstance(layer, Input):
        facts["input_bias"] = _range(layer.bias)
    for name in ("delay", "recurrent"):
        if getattr(layer, name, None) is not None:
            facts[name] = _range(getattr(layer, name))
    return facts


def _range(values: Any) -> list[float]:
    return [float(values.min()), float(values.max())]


def _loihi_facts(layer: FixedPointLayer) -> dict[str, Any]:
    """The integers of a layer, and how near they are to what Loihi holds."""
    bound = state_bound(layer)
    dense = isinstance(layer.source, Dense)
    return {
        "layer": layer.index,
        "weight": [int(layer.weight.min()), int(layer.weight.max())],
        "weight_exact": not dense or survives_encoding(layer.weight),
        "iDecay": [int(layer.current_decay.min()), int(layer.current_decay.max())],
        "vDecay": [int(layer.voltage_decay.min()), int(layer.voltage_decay.max())],
        "vThMant": layer.threshold,
        "bias": [0, 0] if layer.bias is None else [int(layer.bias.min()), int(layer.bias.max())],
        "current_bound": bound.current if math.isfinite(bound.current) else None,
        "voltage_bound": bound.voltage if math.isfinite(bound.voltage) else None,
        "fits_24_bits": bound.fits,
    }


def _holds(network: Network, name: str) -> dict[str, Any]:
    """Whether a substrate can hold the network, whether it is installed here, and everything that stands in the way."""
    try:
        backend = find_backend(name)
    except PluginError as error:
        return {"holds": False, "installed": False, "problems": [str(error)]}
    missing = missing_reason(backend)
    problems = backend.problems(network)
    return {"holds": not problems, "installed": missing is None, "problems": problems + ([missing] if missing else [])}


def _say(facts: dict[str, Any]) -> None:
    shape = " x ".join(map(str, facts["input_shape"]))
    takes = f"takes {facts['input_kind']} {shape}, readout {facts['readout']}"
    say(f"{facts['file']}: arithmetic {facts['arithmetic']}, {takes}")
    say(f"{facts['parameters']} weights, {facts['neurons']} neurons, {facts['bytes'] / 2**20:.1f} MiB")
    say(f"fingerprint {facts['fingerprint']}")
    columns = ["layer", "", "shape", "weights", "threshold", "current decay", "voltage decay", "bias", "reset"]
    print_table("\nLayers", columns, [_layer_row(layer) for layer in facts["layers"]], numbers_from=2)
    if facts["loihi"]["layers"]:
        columns = [
            "layer",
            "weights",
            "kept by 8 bits",
            "iDecay",
            "vDecay",
            "vThMant",
            "bias",
            "|u| up to",
            "|v| up to",
        ]
        title = f"\nOn Loihi (decays of {DECAY_ONE}, thresholds to {THRESHOLD_MAX - 1}, states to {STATE_LIMIT - 1})"
        rows = [_loihi_row(layer) for layer in facts["loihi"]["layers"]]
        print_table(title, columns, rows)
        if any(BEYOND in cell for row in rows for cell in row):
            say(f"{BEYOND} beyond 24 bits: Loihi wraps the current and clips the voltage there")
    rows = []
    for name, found in facts["substrates"].items():
        state = ("yes" if found["installed"] else "yes, not installed") if found["holds"] else "no"
        rows.append([name, state, "\n".join(found["problems"])])
    print_table("\nSubstrates that can hold it", ["substrate", "", "what stands in the way"], rows, numbers_from=3)


def _layer_row(layer: dict[str, Any]) -> list[str]:
    shape = " x ".join(map(str, layer["shape"]))
    if "weight" not in layer:
        return [str(layer["layer"]), layer["kind"], shape, *[""] * 6]
    values = [_told(layer[name]) for name in ("weight", *CubaLIF().parameters())]
    return [str(layer["layer"]), layer["kind"], shape, *values, layer["reset"]]


def _loihi_row(layer: dict[str, Any]) -> list[str]:
    bounds = [_bound(layer[name]) for name in ("current_bound", "voltage_bound")]
    kept = "yes" if layer["weight_exact"] else "no"
    decays = [_told(layer[name]) for name in ("iDecay", "vDecay")]
    return [
        str(layer["layer"]),
        _told(layer["weight"]),
        kept,
        *decays,
        str(layer["vThMant"]),
        _told(layer["bias"]),
        *bounds,
    ]


def _bound(value: float | None) -> str:
    if value is None:
        return "not bounded"
    return f"{value:.0f}" if value < STATE_LIMIT else f"{value:.0f}{BEYOND}"


def _told(ends: list[float]) -> str:
    least, largest = (f"{each:.4g}" if isinstance(each, float) else str(each) for each in ends)
    return least if least == largest else f"{least}..{largest}"
