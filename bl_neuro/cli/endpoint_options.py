"""The options of commands that attack a model file or the URL of an endpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="Token for an endpoint. The environment variable BL_NEURO_TOKEN is safer: other users cannot see it.",
    ),
]
InputName = Annotated[str | None, typer.Option("--input", help="Name of the input tensor of an endpoint.")]
OutputName = Annotated[str | None, typer.Option("--output", help="Name of the output tensor of an endpoint.")]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout", help="Layout of the inputs of an endpoint: time_first, batch_first, or rates (no time axis)."
    ),
]
Certificates = Annotated[
    Path | None,
    typer.Option("--certificates", help="PEM file of the certificate authorities to trust, for an https endpoint."),
]
ClassCount = Annotated[
    int | None,
    typer.Option("--class-count", help="Number of classes of an endpoint whose metadata does not contain it."),
]
Session = Annotated[
    str | None,
    typer.Option(
        "--session",
        help="Name of the session. The same attack under the same name repeats its queries free of charge.",
    ),
]


def need_no_effect(what: str, options: dict[str, Any]) -> None:
    """Raises InputError if an option was given that does not apply to what is attacked."""
    from bl_neuro.errors import InputError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: not applicable to {what}; leave it out")


def stated_endpoint(model: str, options: dict[str, Any], on_file: dict[str, Any], input_shape: Any) -> Any:
    """The options of the endpoint `model` for `bl_neuro.api`; None for a model file.

    options: by the names of the API, None where they are not given. on_file: options of model files, by name.

    Raises:
        InputError: an option was given that does not apply to what is attacked.
    """
    from bl_neuro.remote import is_url

    if is_url(model):
        need_no_effect("an endpoint", on_file)
        return {**options, "input_shape": input_shape}
    named = {"classes": "class-count"}
    need_no_effect("a file", {f"--{named.get(name, name)}": value for name, value in options.items()})
    return None


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Prints the warning about an unencrypted token as one line, as soon as it occurs."""
    import warnings

    from bl_neuro.errors import TokenInTheClear

    def show(
        message: Warning | str, category: object, filename: str, lineno: int, file: object = None, line: object = None
    ) -> None:
        sys.stderr.write(f"warning: {message}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("always", TokenInTheClear)
        warnings.showwarning = show
        yield
