"""The options of commands that attack a model file or the URL of an endpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from bl_neuro.api.attack_target import AttackedModel
    from bl_neuro.cli.model import ModelRequest
    from bl_neuro.remote import EndpointOptions

FileOrUrl = Annotated[
    str,
    typer.Argument(
        help="Model file (.safetensors, .net or .nir), or the URL of an endpoint, http(s)://HOST:PORT/v2/models/NAME.",
        show_default=False,
    ),
]
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


def endpoint_options(
    token: str | None,
    input_name: str | None,
    output_name: str | None,
    layout: str | None,
    certificates: Path | None,
    class_count: int | None,
    session: str | None,
) -> dict[str, Any]:
    """The options of an endpoint by the names of the API, None where they are not given."""
    names = {"token": token, "input": input_name, "output": output_name, "layout": layout}
    return {**names, "certificates": certificates, "classes": class_count, "session": session}


class Subject(NamedTuple):
    """What a command attacks: the network of a file, or the URL of an endpoint with its options, else None."""

    model: AttackedModel
    endpoint: EndpointOptions | None


@contextmanager
def opened_subject(
    request: ModelRequest, url: str, options: Mapping[str, Any], on_file: Mapping[str, Any]
) -> Iterator[Subject]:
    """Reads the model file of `request`, or takes `url` as the URL of an endpoint if it is one.

    options: of endpoints, by the names of the API, None where they are not given. on_file: further options that apply
    only to model files, by their names on the command line.

    Raises:
        InputError: an option was given that does not apply to what is attacked. The errors of `bl_neuro.load`.
    """
    from bl_neuro.remote import is_url

    if not is_url(url):
        named = {"classes": "class-count"}
        need_no_effect("a file", {f"--{named.get(name, name)}": value for name, value in options.items()})
        yield Subject(request.open(), None)
        return
    need_no_effect("an endpoint", {**on_file, **request.file_options})
    endpoint: Any = {**options, "input_shape": request.input_shape}
    with warnings_on_stderr():
        yield Subject(url, endpoint)


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
