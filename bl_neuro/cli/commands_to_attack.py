"""The commands that attack, and that serve what is attacked: `attack`, `serve`, `token`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Convention, Dt, InputShape, Json, Layers, Model, Reset, Seed, app, model_request


@app.command()
def attack(
    model: Annotated[
        str,
        typer.Argument(
            help="A network, as .safetensors, .net or .nir; or http(s)://HOST:PORT/v2/models/NAME, an endpoint.",
            show_default=False,
        ),
    ],
    backend: Annotated[
        str, typer.Option("--backend", help="Substrate: snntorch, norse, slayer, loihi, lava.")
    ] = "snntorch",
    name: Annotated[
        str,
        typer.Option(
            "--attack",
            help="v1, v2_gradient (white box, gradients); v2, cma_es, one_plus_one, random (black box, queries); "
            "transfer (a leaked copy first, then queries).",
        ),
    ] = "v2",
    reveals: Annotated[
        str | None,
        typer.Option(
            "--reveals", help="What a black box shows: membrane, scores, spikes, counts (the default) or label."
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", help="Queries that a black box answers in all; 7040 by default.")
    ] = None,
    twin: Annotated[
        str | None, typer.Option("--twin", help="Substrate of transfer's copy; snntorch by default.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Comma-separated class numbers; all by default.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Time steps of a query and of an inversion.")] = 20,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Ready-made settings: mnist, nmnist, events or gestures for v2, others for v1, v2_gradient, transfer.",
        ),
    ] = None,
    blur: Annotated[
        float | None, typer.Option("--blur", help="Expect neighbouring pixels to agree, over so many pixels.")
    ] = None,
    window: Annotated[
        float | None, typer.Option("--window", help="Expect the object in a centred window of so many pixels.")
    ] = None,
    image_shape: Annotated[
        str | None, typer.Option("--image-shape", help="HEIGHT,WIDTH of a network's flat inputs, if they are images.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="End a search after so many generations without a gain.")
    ] = None,
    evaluator: Annotated[
        Path | None, typer.Option("--evaluator", help="An evaluator that judges the inversions (see train).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for inversions.safetensors and pictures.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an attack that the folder holds.")] = False,
    token: Annotated[
        str | None, typer.Option("--token", help="For an endpoint; BL_NEURO_TOKEN by default, which nobody here sees.")
    ] = None,
    input_name: Annotated[str | None, typer.Option("--input", help="Name of an endpoint's input.")] = None,
    output_name: Annotated[str | None, typer.Option("--output", help="Name of an endpoint's output.")] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", help="What an endpoint takes: time_first, batch_first, or rates (no time)."),
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option("--certificates", help="PEM file of the authorities that an https endpoint is trusted by."),
    ] = None,
    class_count: Annotated[
        int | None, typer.Option("--class-count", help="How many classes an endpoint tells apart, if it does not say.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", help="Name under which an endpoint charges nothing twice if this is run once more."),
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Reconstruct an input for each class of a network, with gradients or with queries alone.

    Ctrl-C ends a search of queries after the generation that it falls in, a transfer after the candidate, and what was
    found is kept.
    """
    from bl_neuro.cli.attack import AttackRequest
    from bl_neuro.cli.attack import attack as command
    from bl_neuro.cli.strategy import StrategyRequest

    asked = StrategyRequest(name, reveals, budget, twin, preset, blur, window, image_shape, patience)
    if model.startswith(("http://", "https://")):
        from bl_neuro.cli.attack_endpoint import EndpointAttackRequest, attack_endpoint

        _no_effect("an endpoint", {"--layers": layers, "--convention": convention, "--dt": dt, "--reset": reset})
        said = (token, input_name, output_name, input_shape, layout, certificates, class_count, session)
        return attack_endpoint(
            EndpointAttackRequest(model, asked, classes, steps, evaluator, out, seed, force, *said), as_json
        )
    only = {"--token": token, "--input": input_name, "--output": output_name, "--layout": layout}
    _no_effect("a file", {**only, "--certificates": certificates, "--class-count": class_count, "--session": session})
    opened = model_request(Path(model), layers, input_shape, convention, dt, reset)
    command(AttackRequest(opened, backend, asked, classes, steps, evaluator, out, seed, force), as_json)


def _no_effect(what: str, options: dict[str, object]) -> None:
    """InputError where an option was given that says nothing about what is attacked."""
    from bl_neuro.errors import InputError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: without effect on {what}; leave it out")


@app.command()
def serve(
    model: Model,
    backend: Annotated[
        str, typer.Option("--backend", help="Substrate: snntorch, norse, slayer, loihi, lava.")
    ] = "loihi",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model in URLs; the file's by default.")
    ] = None,
    reveals: Annotated[
        str, typer.Option("--reveals", help="What an answer shows: membrane, scores, spikes, counts or label.")
    ] = "counts",
    budget: Annotated[
        int | None, typer.Option("--budget", help="Queries that each client may spend for good; no limit by default.")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Requests a second that each client may make.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; others need tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0 for any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Clients and hashes of their tokens (see bl-neuro token).")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", help="NAME:TOKEN of a client, which others here can see; BL_NEURO_TOKENS they cannot."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="File of all queries, which budgets live in; NAME.queries.sqlite beside the model."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file, for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Port on this machine for Prometheus.")
    ] = None,
    max_batch: Annotated[int, typer.Option("--max-batch", help="Most samples of a request.")] = 1024,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Most time steps of a request.")] = 1024,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds that a request may take.")] = 30.0,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
) -> None:
    """Put a network behind a query-only endpoint (Open Inference Protocol v2) until Ctrl-C."""
    from bl_neuro.cli.serve import ServeRequest
    from bl_neuro.cli.serve import serve as command

    opened = model_request(model, layers, input_shape, convention, dt, reset)
    settings = {
        "reveals": reveals,
        "budget": budget,
        "rate": rate,
        "host": host,
        "port": port,
        "certificate": certificate,
        "key": key,
        "metrics_port": metrics_port,
        "max_batch": max_batch,
        "max_steps": max_steps,
        "deadline_s": deadline,
    }
    command(ServeRequest(opened, backend, name, log, token_file, token or [], settings))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The client.", show_default=False)],
    file: Annotated[Path, typer.Option("--file", help="File of clients, made if it is not there.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Make a token for a client of an endpoint: its hash goes to the file, the token is shown once."""
    from bl_neuro.cli.serve import token as command

    command(file, name, as_json)
