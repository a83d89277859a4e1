"""`bl-neuro inspect`."""

from __future__ import annotations

from bl_neuro.cli.options import Convention, Dt, InputShape, Json, Layers, Model, Reset, app, model_request


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
    from bl_neuro.cli.output import print_json, print_parts

    facts = run(model_request(model, layers, input_shape, convention, dt, reset).open())
    if as_json:
        print_json({"file": str(model), **asdict(facts)})
    else:
        first, *others = facts.text_parts()
        print_parts([f"{model}: {first}", *others])
