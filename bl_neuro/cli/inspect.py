"""`bl-neuro inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bl_neuro.cli.options import Convention, Dt, InputShape, Json, Layers, Model, Reset, app, model_request

if TYPE_CHECKING:
    from bl_neuro.api.inspect import LoihiLayer, ModelFacts

BEYOND = "*"
"""Marks a bound that does not fit in 24 bits."""


@app.command()
def inspect(
    model: Model,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    as_json: Json = False,
) -> None:
    """Show the layers and parameters of a model, Loihi's limits, and which substrates can run it."""
    from dataclasses import asdict

    from bl_neuro.api.inspect import inspect as run
    from bl_neuro.cli.output import print_json

    facts = run(model_request(model, layers, input_shape, convention, dt, reset).open())
    if as_json:
        print_json({"file": str(model), **asdict(facts)})
    else:
        _print(str(model), facts)


def _print(file: str, facts: ModelFacts) -> None:
    from bl_neuro.cli.output import print_table, say
    from bl_neuro.report.words import many

    shape = " x ".join(map(str, facts.input_shape))
    say(f"{file}: arithmetic {facts.arithmetic}, takes {facts.input_kind} {shape}, readout {facts.readout}")
    counts = f"{many(facts.parameters, 'weight')}, {many(facts.neurons, 'neuron')}"
    say(f"{counts}, {facts.bytes / 2**20:.1f} MiB")
    say(f"fingerprint {facts.fingerprint}")
    columns = ["layer", "", "shape", "weights", "threshold", "current decay", "voltage decay", "bias", "reset"]
    print_table("\nLayers", columns, [_layer_row(layer) for layer in facts.layers], numbers_from=2)
    if facts.loihi.layers:
        _print_loihi(facts.loihi.layers)
    rows = []
    for name, holder in facts.substrates.items():
        state = ("yes" if holder.installed else "yes, not installed") if holder.holds else "no"
        rows.append([name, state, "\n".join(holder.problems)])
    print_table("\nSubstrates that can hold it", ["substrate", "", "what stands in the way"], rows, numbers_from=3)


def _print_loihi(layers: list[LoihiLayer]) -> None:
    from bl_neuro.cli.output import print_table, say
    from bl_neuro.deploy.loihi_limits import STATE_LIMIT
    from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX

    def bound(value: float | None) -> str:
        if value is None:
            return "not bounded"
        return f"{value:.0f}" if value < STATE_LIMIT else f"{value:.0f}{BEYOND}"

    title = (
        f"\nIntegers on Loihi: decays are fractions of {DECAY_ONE}, thresholds are at most {THRESHOLD_MAX - 1}, and "
        f"states lie within -{STATE_LIMIT - 1}..{STATE_LIMIT - 1}"
    )
    columns = ["layer", "weights", "exact in 8 bits", "iDecay", "vDecay", "vThMant", "bias", "|u| up to", "|v| up to"]
    rows = [
        [
            str(layer.layer),
            _range(layer.weight),
            "yes" if layer.weight_exact else "no",
            _range(layer.current_decay),
            _range(layer.voltage_decay),
            str(layer.threshold),
            _range(layer.bias),
            bound(layer.current_bound),
            bound(layer.voltage_bound),
        ]
        for layer in layers
    ]
    print_table(title, columns, rows)
    if any(BEYOND in cell for row in rows for cell in row):
        say(f"{BEYOND} beyond 24 bits: Loihi wraps the current and clips the voltage there")


def _layer_row(layer: dict[str, Any]) -> list[str]:
    from bl_neuro.neuron import CubaLIF

    shape = " x ".join(map(str, layer["shape"]))
    if "weight" not in layer:
        return [str(layer["layer"]), layer["kind"], shape, *[""] * 6]
    values = [_range(layer[name]) for name in ("weight", *CubaLIF().parameters())]
    return [str(layer["layer"]), layer["kind"], shape, *values, layer["reset"]]


def _range(ends: list[float] | list[int]) -> str:
    least, greatest = (f"{end:.4g}" if isinstance(end, float) else str(end) for end in ends)
    return least if least == greatest else f"{least}..{greatest}"
