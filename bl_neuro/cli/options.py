"""The application, and the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from bl_neuro.cli.model import ModelRequest

Number = TypeVar("Number", int, float)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much of its training data a spiking network gives away, and whether its substrate changes that.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random choices.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of downloaded data; BL_NEURO_DATA by default.")]
Jobs = Annotated[int, typer.Option("--jobs", help="Processes to run cells in.")]
Model = Annotated[Path, typer.Argument(help="A network, as .safetensors, .net or .nir.", show_default=False)]
Layers = Annotated[int | None, typer.Option("--layers", help="Open only the first so many blocks of a .net file.")]
InputShape = Annotated[
    str | None,
    typer.Option("--input-shape", help="CHANNELS,HEIGHT,WIDTH or FEATURES of a .net file that does not state it."),
]
Convention = Annotated[
    str | None,
    typer.Option("--convention", help="Who wrote a .nir file: snntorch, norse, or nir for its own equations."),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Length of a step in a .nir file's unit of time.")]
Reset = Annotated[
    str | None, typer.Option("--reset", help="How snnTorch's neurons of a .nir file reset: subtract_delayed or zero.")
]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """How much of its training data a spiking network gives away, and whether its substrate changes that."""
    if show:
        from bl_neuro import __version__

        typer.echo(f"bl-neuro {__version__}")
        raise typer.Exit


def model_request(
    path: Path, layers: int | None, shape: str | None, convention: str | None, dt: float | None, reset: str | None
) -> ModelRequest:
    """The model that the options name."""
    from bl_neuro.cli.model import ModelRequest

    return ModelRequest(path, layers, shape, convention, dt, reset)


def numbers(text: str | None, option: str, kind: Callable[[str], Number]) -> list[Number] | None:
    """Numbers with commas between them, as an option was typed; None where it was not.

    Raises:
        InputError: the text holds something else.
    """
    from bl_neuro.errors import InputError

    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",") if part]
    except ValueError as error:
        sort = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{option}: expected {sort} with commas between them, found {text!r}") from error


def words(text: str) -> list[str]:
    """Names with commas between them, as an option was typed."""
    return [word.strip() for word in text.split(",") if word.strip()]
