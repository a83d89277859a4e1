"""`bl-neuro serve` and `bl-neuro token`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bl_neuro.cli.model import ModelRequest
from bl_neuro.cli.output import print_json, say
from bl_neuro.cli.silent_outputs import need_spoken
from bl_neuro.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from bl_neuro.backends import Backend

TOKENS = "BL_NEURO_TOKENS"
"""Tokens in the environment: NAME:TOKEN, comma-separated."""


@dataclass(frozen=True)
class ServeRequest:
    """What was asked for on the command line. settings: those of `ServeSettings`, but for name and log."""

    model: ModelRequest
    backend: str
    name: str | None
    log: Path | None
    token_file: Path | None
    tokens: list[str]
    settings: dict[str, Any]


def serve(request: ServeRequest) -> None:
    """Serves one network until it is told to end."""
    _need_libraries()
    from bl_neuro.backends import find_backend, open_target
    from bl_neuro.deploy.serve import Clients, ServeSettings
    from bl_neuro.deploy.serve import serve as run

    name = request.name or request.model.path.stem
    log = request.log or request.model.path.parent / f"{name}.queries.sqlite"
    settings = ServeSettings(name=name, log=log.absolute(), **request.settings)
    clients = Clients(_hashes(request))
    network = request.model.open()
    need_spoken(network, settings.reveals)
    options = _for_small_queries(find_backend(request.backend))
    with open_target(network, request.backend, **options) as target:
        run(target, settings, clients)


def _for_small_queries(backend: type[Backend]) -> dict[str, Any]:
    """Options of the substrate for many small queries; sets torch's threads for them too.

    Where a substrate has threads or processes of its own, those of torch, which share a single operation, would only
    have the server wait for one another.
    """
    import torch

    threads = torch.get_num_threads()
    if not backend.uses_torch_threads:
        torch.set_num_threads(1)
    return backend.serving_options(threads)


def token(path: Path, name: str, as_json: bool) -> None:
    """Adds a client to a file of tokens and shows its token, once."""
    _need_libraries()
    from bl_neuro.deploy.serve import add_client

    made = add_client(path, name)
    if as_json:
        print_json({"client": name, "token": made, "file": str(path)})
    else:
        say(made)


def _hashes(request: ServeRequest) -> dict[str, str]:
    from bl_neuro.deploy.serve import hashes_of, read_token_file

    found = {} if request.token_file is None else read_token_file(request.token_file)
    typed = [*request.tokens, *filter(None, os.environ.get(TOKENS, "").split(","))]
    for name, digest in hashes_of(typed, f"--token or {TOKENS}").items():
        if name in found or digest in found.values():
            raise InputError(f"--token: client {name!r}, or its token, is in the file too")
        found[name] = digest
    if not found and (request.token_file is not None or TOKENS in os.environ):
        where = TOKENS if request.token_file is None else str(request.token_file)
        raise InputError(
            f"{where}: expected a client at least, found none; add one with bl-neuro token, or leave it out"
        )
    return found


def _need_libraries() -> None:
    try:
        import bl_neuro.deploy.serve  # noqa: F401 - it imports all that the server is made of
    except ImportError as error:
        raise MissingDependency(
            f'serve: {error.name} is not installed; install it with: pip install "bl-neuro[serve]"'
        ) from error
