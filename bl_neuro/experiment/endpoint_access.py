"""What an experiment file of somebody else may reach: which endpoints, and with which token."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.definition import EndpointPart

LOOPBACK = re.compile(r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?/")
MOST_BYTES = 4096
"""Maximum size of a token file."""


def need_allowed(endpoints: Sequence[EndpointPart], allowed: bool) -> None:
    """Raises ExperimentError if an endpoint is on another machine, unless this is allowed."""
    elsewhere = [f"{part.name} ({part.url})" for part in endpoints if not LOOPBACK.match(part.url)]
    if elsewhere and not allowed:
        raise ExperimentError(
            f"endpoints: the experiment file sends queries, and a token if there is one, to {', '.join(elsewhere)}; if "
            "this is what you want, allow it with --allow-endpoints (allow_endpoints=True in Python)"
        )


def need_tokens(endpoints: Sequence[EndpointPart], token_file: Path | None) -> None:
    """Checks the tokens before anything runs.

    Raises:
        ExperimentError: an environment variable for a token is named but not set. InputError: the token file cannot be
            read.
    """
    if token_file is not None:
        read_token(token_file)
        return
    for number, part in enumerate(endpoints):
        if "token" in part.model_fields_set and not os.environ.get(part.token):
            raise ExperimentError(
                f"endpoints.{number}.token: expected an environment variable that holds the token (not the token "
                f"itself), and {part.token} is not set"
            )


def read_token(file: Path) -> str:
    """The token in a file of one line.

    Raises:
        InputError: it cannot be read, or contains something else; the message does not repeat it.
    """
    if not file.is_file():
        raise InputError(f"{file}: expected a file with the token of the endpoints")
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}; expected a file with the token") from error
    token = content.decode("utf-8-sig", "replace").strip()
    if len(content) > MOST_BYTES or not token or not token.isascii() or not token.isprintable():
        raise InputError(f"{file}: expected one line of printable ASCII characters, the token, at most {MOST_BYTES}")
    return token
