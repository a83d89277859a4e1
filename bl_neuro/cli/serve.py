"""`bl-neuro serve` and `bl-neuro token`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bl_neuro.cli.options import (
    REVEALED,
    Backend,
    Convention,
    Dt,
    InputShape,
    Json,
    Layers,
    ListingCommand,
    Model,
    Reset,
    app,
    model_request,
)

TOKENS = "BL_NEURO_TOKENS"
"""Environment variable with tokens: NAME:TOKEN, comma-separated."""


@app.command(cls=ListingCommand)
def serve(
    model: Model,
    backend: Backend = "loihi",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model in URLs. Default: the name of the file.")
    ] = None,
    reveals: Annotated[str, REVEALED] = "counts",
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="Total number of queries per client, kept across restarts. Default: no limit."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Maximum number of requests per second and client.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. Any address but this machine requires tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 for any free port.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File of clients and the hashes of their tokens (see bl-neuro token)."),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", help="A client as NAME:TOKEN. BL_NEURO_TOKENS is safer: other users cannot see it."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            help="Log of all queries, which also stores spent budgets. Default: NAME.queries.sqlite beside the model.",
        ),
    ] = None,
    seal: Annotated[
        Path | None,
        typer.Option(
            "--log-seal",
            help="File that counts the entries of the log, so that their loss is noticed. Default: beside the log. In "
            "another folder, it also notices that the whole folder of the log was restored or deleted.",
        ),
    ] = None,
    accept_log_damage: Annotated[
        bool,
        typer.Option(
            "--accept-log-damage",
            help="Continue with a log that lost entries: those that can be read count.",
        ),
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="PEM file of the certificate, for HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of the private key, for HTTPS.")] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", help="Port for Prometheus metrics, reachable from this machine only."),
    ] = None,
    max_batch: Annotated[int, typer.Option("--max-batch", help="Maximum number of samples per request.")] = 1024,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Maximum number of time steps per request.")] = 1024,
    deadline: Annotated[float, typer.Option("--deadline", help="Time limit for a request, in seconds.")] = 30.0,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
) -> None:
    """Serve a network behind a query-only endpoint (Open Inference Protocol v2) until Ctrl-C."""
    _need_libraries()
    from bl_neuro.api.silent_outputs import need_spiking_outputs
    from bl_neuro.backends import open_target
    from bl_neuro.deploy.serve import Clients, ServeSettings
    from bl_neuro.deploy.serve import serve as run

    called = name or model.stem
    settings = ServeSettings(
        name=called,
        log=(log or model.parent / f"{called}.queries.sqlite").absolute(),
        seal=None if seal is None else seal.absolute(),
        accept_log_damage=accept_log_damage,
        inputs={"MODEL": model, "--token-file": token_file},
        reveals=reveals,
        budget=budget,
        rate=rate,
        host=host,
        port=port,
        certificate=certificate,
        key=key,
        metrics_port=metrics_port,
        max_batch=max_batch,
        max_steps=max_steps,
        deadline_s=deadline,
    )
    settings.check_files()
    clients = Clients(_hashes(token_file, token or []))
    network = model_request(model, layers, input_shape, convention, dt, reset).open()
    need_spiking_outputs(network, settings.reveals)
    with open_target(network, backend, **_for_small_queries(backend)) as target:
        run(target, settings, clients)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Name of the client.", show_default=False)],
    file: Annotated[Path, typer.Option("--file", help="Token file; created if it does not exist.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Create a token for a client of an endpoint. Prints it once; the file stores only its hash."""
    _need_libraries()
    from bl_neuro.cli.output import print_json, say
    from bl_neuro.deploy.serve import add_client

    def show(made: str) -> None:
        if as_json:
            print_json({"client": name, "token": made, "file": str(file)})
        else:
            say(made)
        sys.stdout.flush()  # a full disk or a closed pipe is an error before the hash is stored

    add_client(file, name, show)


def _for_small_queries(substrate: str) -> dict[str, Any]:
    """Options of the substrate for many small queries. Also sets the number of torch threads.

    If a substrate has its own threads or processes, torch is limited to one thread, because its threads would only
    compete with them.
    """
    import torch

    from bl_neuro.backends import find_backend

    backend, threads = find_backend(substrate), torch.get_num_threads()
    if not backend.uses_torch_threads:
        torch.set_num_threads(1)
    return backend.serving_options(threads)


def _hashes(token_file: Path | None, tokens: Sequence[str]) -> dict[str, str]:
    """The token hash of every client in the file, the option and the environment variable."""
    import os

    from bl_neuro.deploy.serve import hashes_of, read_token_file
    from bl_neuro.errors import InputError

    hashes = {} if token_file is None else read_token_file(token_file)
    typed = [*tokens, *filter(None, os.environ.get(TOKENS, "").split(","))]
    for name, digest in hashes_of(typed, f"--token or {TOKENS}").items():
        if name in hashes or digest in hashes.values():
            raise InputError(f"--token: client {name!r}, or its token, is also in the token file")
        hashes[name] = digest
    if not hashes and (token_file is not None or TOKENS in os.environ):
        where = TOKENS if token_file is None else str(token_file)
        raise InputError(
            f"{where}: expected at least one client, found none; add one with bl-neuro token, or leave it out"
        )
    return hashes


def _need_libraries() -> None:
    from bl_neuro.errors import MissingDependency

    try:
        import bl_neuro.deploy.serve  # noqa: F401 - it imports all that the server is made of
    except ImportError as error:
        raise MissingDependency(
            f'serve: {error.name} is not installed; install it with: pip install "bl-neuro[serve]"'
        ) from error
